// Joins the parts: each snapshot goes to every part; without one, the page says so.

import { Charts } from "./charts.js";
import { keepAsking } from "./contact.js";
import { callCommands } from "./copy.js";
import { byId, setText } from "./dom.js";
import { age, clock } from "./format.js";
import { Machine } from "./machine.js";
import { between } from "./model.js";
import { Tables } from "./tables.js";
import { showChecks, showLost } from "./verdict.js";

const WINDOW = 10_000; // ms that rates and percentiles look back
const charts = new Charts(byId("charts"));
const tables = new Tables();
const machine = new Machine();
let recent = []; // the snapshots of the window, oldest first

function markLive(words) {
  document.body.classList.remove("stale");
  byId("stale").hidden = true;
  setText(byId("contact"), words);
}

function markStale(words, reason) {
  document.body.classList.add("stale");
  byId("stale").hidden = recent.length === 0;
  if (recent.length) setText(byId("stale"), `Not live: this was so at ${clock(recent.at(-1).time)}.`);
  setText(byId("contact"), `${words}${reason ? `: ${reason}` : ""}`);
}

keepAsking("status.json", {
  onSnapshot(snapshot) {
    const now = Date.parse(snapshot.time);
    // At least one earlier snapshot, the youngest that is a window old.
    while (recent.length > 1 && Date.parse(recent[1].time) <= now - WINDOW) recent.shift();
    const known = recent.at(-1);
    if (known && now - Date.parse(known.time) > WINDOW) {
      charts.gap(Date.parse(known.time) / 1000 + 0.001);
      recent = [];
    }
    const rates = recent.length ? between(recent[0], snapshot) : null;
    recent.push(snapshot);
    callCommands(snapshot.command_prefix);
    showChecks(snapshot);
    machine.show(snapshot);
    tables.show(snapshot, rates);
    charts.add({ snapshot, rates: rates?.total });
    markLive(`Live: ${clock(snapshot.time)}`);
  },
  onLost(since, reason) {
    const seconds = (Date.now() - since.getTime()) / 1000;
    showLost();
    markStale(`No contact since ${clock(since)} (${age(seconds)})`, reason);
  },
  onPause() { markStale("Paused while the page is hidden"); },
});
