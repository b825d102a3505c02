// The tables: what is in flight, who works, what failed, where calls are slow.

import { byId, element, setAttribute, setText } from "./dom.js";
import { NONE, age, bytes, clock, count, duration, number, percent, place } from "./format.js";
import { copyButton, storyOf } from "./copy.js";
import { nameOf, recentErrors, requestsInFlight, slowCalls } from "./model.js";
import { Rows, column } from "./rows.js";

const MOST = 100; // rows of a table: beyond it nobody reads on

/** Text with a state that the style sheet colours. */
const tagged = (label, read) => ({
  label,
  show(cell, item) {
    const [state, words] = read(item);
    if (!cell.firstElementChild) cell.append(element("span", { class: "tag" }));
    setText(cell.firstElementChild, words ?? state);
    setAttribute(cell.firstElementChild, "data-state", state);
  },
});

/** A request's id as a button that copies the command for its story. */
const idColumn = {
  label: "Request id",
  kind: "id",
  show(cell, { request_id: id }) {
    if (cell.dataset.id === (id ?? "")) return;
    cell.dataset.id = id ?? "";
    cell.replaceChildren(id ? copyButton(id, storyOf(id)) : NONE);
  },
};

/** What a request is doing: where it came from, and its stack as Python prints one. */
function requestDetail({ target, peer, request_id: id, thread, frames }) {
  const facts = [["target", target], ["peer", peer], ["thread", thread], ["story", id ? storyOf(id) : null]];
  const list = element("dl", {}, ...facts.filter(([, value]) => value).flatMap(([name, value]) => [
    element("dt", {}, name), element("dd", {}, value),
  ]));
  const stack = frames?.length
    ? element("ol", { class: "stack", "aria-label": "Stack, innermost last" }, ...frames.map((frame) => element("li", {}, frame)))
    : element("p", {}, "No stack: it is not in a thread.");
  return element("div", {}, list, stack);
}

function showWorkerState(cell, { state, error, loading_s: loading }) {
  if (!cell.firstElementChild) cell.append(element("span", { class: "tag" }), element("span", { class: "why" }));
  const [tag, why] = cell.children;
  const loads = loading != null;
  setText(tag, loads ? "loading" : error ? "no answer" : state);
  setAttribute(tag, "data-state", loads ? "loading" : error ? "failed" : state);
  setText(why, loads ? `for ${age(loading)}` : error ?? "");
}

function showConnections(cell, { connections }) {
  if (!connections) return setText(cell, NONE);
  const states = Object.entries(connections);
  setText(cell, number(states.reduce((sum, [, amount]) => sum + amount, 0)));
  return setAttribute(cell, "title", states.map(([state, amount]) => `${state} ${amount}`).join(", "));
}

function showShare(cell, { share }) {
  setText(cell, percent(share));
  cell.style.setProperty("--share", share ?? 0);
}

const of = (amount, most) => (amount === undefined ? NONE : `${number(amount)} / ${number(most)}`);

function showCount(name, amount, empty) {
  setText(byId(`${name}-count`), amount ? amount.toLocaleString("en") : "");
  const note = byId(`${name}-empty`);
  if (note) {
    setText(note, amount > MOST ? `${count(amount - MOST, "more row")} not shown` : amount ? "" : empty);
    note.hidden = note.textContent === "";
  }
  byId(`${name}-table`).hidden = amount === 0;
}

export class Tables {
  constructor() {
    const table = (name) => byId(`${name}-table`);
    this.requests = new Rows(table("requests"), [
      column("Age", ({ age_s: seconds }) => age(seconds), "number"),
      tagged("State", ({ state }) => [state]),
      column("Request", ({ method, path }) => `${method} ${path}`, "wide"),
      column("Where", ({ location, frames }) => place(location || frames?.at(-1)), "code"),
      column("Worker", ({ worker }) => worker, "name"),
      idColumn,
    ], ({ worker, request_id: id, thread }) => `${worker} ${id} ${thread}`, requestDetail);
    this.workers = new Rows(table("workers"), [
      column("Worker", nameOf, "name"),
      { label: "State", kind: "state", show: showWorkerState },
      column("Uptime", ({ uptime_s: seconds }) => age(seconds), "number"),
      column("Requests/s", ({ rates }) => number(rates?.requests), "number"),
      { label: "Share", kind: "number share", show: showShare },
      column("p99", ({ rates }) => duration(rates?.p99), "number"),
      column("Threads busy", ({ threads_busy: busy, threads }) => of(busy, threads), "number"),
      column("Waiting", ({ waiting, backlog_requests: most }) => of(waiting, most), "number"),
      { label: "Connections", kind: "number", show: showConnections },
      column("Memory", ({ resident_bytes: amount }) => bytes(amount), "number"),
      column("Descriptors", ({ descriptors }) => number(descriptors?.open), "number"),
      column("Restarts", ({ metrics }) => number(metrics ? metrics.starts - 1 : undefined), "number"),
      column("Process", ({ pid }) => String(pid ?? NONE), "number"),
    ], ({ worker }) => worker);
    this.errors = new Rows(table("errors"), [
      column("Time", ({ time }) => clock(time), "number"),
      tagged("Level", ({ level }) => [level]),
      column("Event", ({ event }) => event),
      column("Message", ({ message }) => message ?? "", "wide message"),
      column("Worker", ({ worker }) => worker, "name"),
      idColumn,
    ], ({ worker, time, request_id: id, event }) => `${worker} ${time} ${id} ${event}`);
    this.slow = new Rows(table("slow"), [
      column("Location", ({ location }) => location, "wide code"),
      column("Calls", ({ count: calls }) => number(calls), "number"),
      column("Time", ({ total_s: seconds }) => duration(seconds), "number"),
      column("Mean", ({ count: calls, total_s: seconds }) => duration(calls ? seconds / calls : undefined), "number"),
      column("Last", ({ last }) => clock(last), "number"),
      column("Last path", ({ path }) => path ?? NONE, "path"),
    ], ({ location }) => location);
  }

  /** Show a snapshot; `rates` is what model.between says of it, or null. */
  show(snapshot, rates) {
    const all = rates?.total.requests;
    const workers = snapshot.workers.map((worker) => {
      const own = rates?.workers[worker.worker];
      return { ...worker, rates: own, share: all ? (own?.requests ?? 0) / all : undefined };
    });
    this.workers.update(workers);
    showCount("workers", workers.length);
    this.fill("requests", requestsInFlight(snapshot), "None.");
    this.fill("errors", recentErrors(snapshot), "None.");
    this.fill("slow", slowCalls(snapshot), "No call took long enough to be noted.");
  }

  fill(name, items, empty) {
    this[name].update(items.slice(0, MOST));
    showCount(name, items.length, empty);
  }
}
