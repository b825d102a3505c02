// Whether all is well: in the page's head, in the title and in the icon of the tab.

import { byId, fillList, setAttribute, setText } from "./dom.js";
import { count } from "./format.js";

// Shapes as well as colours: not everybody tells red from green.
const ICONS = {
  healthy: ["#1a7f4b", "M4.5 8.5l2.4 2.4 4.6-5"],
  failing: ["#c4314b", "M5 5l6 6M11 5l-6 6"],
  lost: ["#6b7280", "M8 4v5M8 11.6v.4"],
};
const SIGNS = { healthy: "✓", failing: "✗", lost: "?" };

function icon(verdict) {
  const [fill, path] = ICONS[verdict];
  const drawing = `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 16 16"><circle cx="8" cy="8" r="8" fill="${fill}"/>`
    + `<path d="${path}" fill="none" stroke="#fff" stroke-width="2" stroke-linecap="round"/></svg>`;
  return `data:image/svg+xml,${encodeURIComponent(drawing)}`;
}

function show(verdict, words) {
  const node = byId("verdict");
  setText(node, words);
  setAttribute(node, "data-verdict", verdict);
  const title = `${SIGNS[verdict]} ${words} · Bascule`;
  if (document.title !== title) document.title = title;
  const link = document.querySelector("link[rel=icon]");
  const href = icon(verdict);
  if (link.href !== href) link.href = href;
}

function fillCheck(item, { name, message, remedy }) {
  const [title, text, advice] = item.children.length ? item.children : [
    item.appendChild(document.createElement("strong")),
    item.appendChild(document.createElement("span")),
    item.appendChild(document.createElement("em")),
  ];
  setText(title, name);
  setText(text, message);
  setText(advice, remedy ?? "");
}

const names = (checks) => [...new Set(checks.map(({ name }) => name))].join(", ");

/** Show the checks of a snapshot: those that fail with their remedies, what is worth a note, the rest. */
export function showChecks(snapshot) {
  const failing = snapshot.checks.filter(({ ok }) => !ok);
  const passing = snapshot.checks.filter(({ ok }) => ok);
  fillList(byId("failing"), failing, fillCheck);
  fillList(byId("noted"), passing.filter(({ note }) => note), fillCheck);
  fillList(byId("passing"), passing, (item, check) => fillCheck(item, { ...check, remedy: "" }));
  setText(byId("passing-count"), `${count(passing.length, "check")} passed`);
  if (snapshot.healthy) show("healthy", "Healthy");
  else show("failing", `${failing.length === 1 ? "1 check fails" : `${failing.length} checks fail`}: ${names(failing)}`);
}

/** Say that nothing is known any more. */
export const showLost = () => show("lost", "No contact");
