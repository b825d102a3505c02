// nginx, supervisor's processes, disk and certificates.

import { byId, element, setText } from "./dom.js";
import { NONE, age, bytes, count, number } from "./format.js";
import { Rows, column } from "./rows.js";

function nginxWords(nginx) {
  if (!nginx || nginx.up === null) return "none";
  if (!nginx.up) return "does not answer";
  if (nginx.active === null) return "up; this build counts nothing";
  return `${count(nginx.active, "connection")} (${number(nginx.reading)} reading, ${number(nginx.writing)} writing, `
    + `${number(nginx.waiting)} waiting), ${count(nginx.requests, "request")} so far`;
}

/** Pairs of a name and what is said of it. */
function facts(snapshot) {
  return [
    ["nginx", nginxWords(snapshot.nginx)],
    ...(snapshot.disk ?? []).map(({ path, free_bytes: free, total_bytes: total }) => [
      path, `${bytes(free)} free of ${bytes(total)}`,
    ]),
    ...(snapshot.certificates ?? []).map(({ path, subject, days_left: days }) => [
      path, days < 0 ? `${subject}: has expired` : `${subject}: ${count(Math.floor(days), "day")} left`,
    ]),
  ];
}

export class Machine {
  constructor() {
    this.processes = new Rows(byId("processes-table"), [
      column("Process", ({ name }) => name),
      column("State", ({ state }) => state),
      column("Uptime", ({ uptime_s: seconds }) => age(seconds), "number"),
      column("Last error", ({ last_error: error }) => error || NONE, "wide message"),
    ], ({ name }) => name);
  }

  show(snapshot) {
    const list = byId("facts");
    const pairs = facts(snapshot).flat();
    while (list.children.length > pairs.length) list.lastElementChild.remove();
    while (list.children.length < pairs.length) list.append(element(list.children.length % 2 ? "dd" : "dt"));
    pairs.forEach((text, index) => setText(list.children[index], text));
    this.processes.update(snapshot.processes ?? []);
    byId("processes-table").hidden = !snapshot.processes?.length;
    setText(byId("stack"), `${snapshot.version} · ${snapshot.mode}`);
  }
}
