// Small live charts of the last ten minutes, drawn by uPlot (the global of uplot/).

import { element, setAttribute, setText } from "./dom.js";
import { clock, duration, number } from "./format.js";

const SPAN = 600; // seconds shown at most
const LEAST = 60; // and at least: a page that was just opened is not an empty wall
const HEIGHT = 102; // CSS pixels, axes included

const CHARTS = [
  {
    title: "Requests a second",
    show: number,
    series: [
      { name: "all", colour: "--line-1", read: ({ rates }) => rates?.requests },
      { name: "4xx", colour: "--line-2", read: ({ rates }) => rates?.clientErrors },
      { name: "5xx", colour: "--line-3", read: ({ rates }) => rates?.serverErrors },
    ],
  },
  {
    title: "Latency",
    show: duration,
    series: [
      { name: "p50", colour: "--line-1", read: ({ rates }) => rates?.p50 },
      { name: "p95", colour: "--line-2", read: ({ rates }) => rates?.p95 },
      { name: "p99", colour: "--line-3", read: ({ rates }) => rates?.p99 },
    ],
  },
  {
    title: "Wait for a thread",
    show: duration,
    series: [
      { name: "p50", colour: "--line-1", read: ({ rates }) => rates?.wait50 },
      { name: "p99", colour: "--line-3", read: ({ rates }) => rates?.wait99 },
    ],
  },
  {
    title: "Requests in flight",
    show: number,
    series: [
      { name: "in a thread", colour: "--line-1", read: ({ snapshot }) => sum(snapshot, "threads_busy") },
      { name: "waiting", colour: "--line-3", read: ({ snapshot }) => sum(snapshot, "waiting") },
    ],
  },
];

function sum(snapshot, name) {
  return snapshot.workers.reduce((total, worker) => total + (worker[name] ?? 0), 0);
}

const colour = (name) => getComputedStyle(document.documentElement).getPropertyValue(name).trim();

/** One figure: title, current values, the drawing. */
class Chart {
  constructor({ title, show, series }) {
    this.title = title;
    this.show = show;
    this.series = series;
    this.values = [[], ...series.map(() => [])];
    this.labels = series.map(() => element("span", { class: "value" }));
    const legend = series.map(({ name, colour: line }, index) => element(
      "span", { class: "key" }, element("i", { class: `swatch ${line.slice(2)}`, "aria-hidden": "true" }), `${name} `, this.labels[index],
    ));
    this.drawing = element("div", { class: "drawing", role: "img" });
    this.figure = element(
      "figure", {}, element("figcaption", {}, element("h2", {}, title), element("p", { class: "legend" }, ...legend)), this.drawing,
    );
  }

  draw() {
    this.plot?.destroy();
    const axis = { stroke: colour("--muted"), grid: { stroke: colour("--rule"), width: 1 }, ticks: { show: false }, font: "11px system-ui, sans-serif" };
    this.plot = new uPlot({
      width: this.drawing.clientWidth,
      height: HEIGHT,
      legend: { show: false },
      padding: [6, 16, 0, 0],
      cursor: { sync: { key: "status" }, drag: { x: false, y: false }, points: { size: 5 } },
      scales: {
        x: { range: () => [Math.min(this.values[0][0] ?? Infinity, this.until() - LEAST), this.until()] },
        // From nought, and never flat: a quiet line lies on the ground.
        y: { range: (_plot, _low, high) => [0, high > 0 ? high * 1.1 : 1] },
      },
      axes: [
        { ...axis, size: 24, gap: 7, space: 70, values: (_plot, times, _axis, _space, step) => times.map((time) => clock(time * 1000).slice(0, step < 60 ? 8 : 5)) },
        { ...axis, size: 58, gap: 4, space: 26, values: (_plot, values) => values.map((value) => this.show(value)) },
      ],
      series: [{}, ...this.series.map(({ colour: line }) => ({ stroke: colour(line), width: 1.5, points: { show: false } }))],
      hooks: { setCursor: [() => this.label()] },
    }, this.values, this.drawing);
  }

  until() { return this.values[0].at(-1) ?? Date.now() / 1000; }

  /** Show the values under the pointer beside the names, or else the newest. */
  label() {
    const { left, idx: index } = this.plot.cursor;
    const at = left >= 0 && index !== null ? index : this.values[0].length - 1;
    this.labels.forEach((label, number) => setText(label, this.show(this.values[number + 1][at])));
  }

  add(time, moment) {
    this.values[0].push(time);
    this.series.forEach(({ read }, index) => this.values[index + 1].push(moment ? read(moment) ?? null : null));
    while (this.values[0][0] < time - SPAN) this.values.forEach((each) => each.shift());
    this.plot.setData(this.values);
    this.label();
    setAttribute(this.drawing, "aria-label", this.describe());
  }

  /** What the drawing shows, in words. */
  describe() {
    const parts = this.series.map(({ name }, index) => {
      const known = this.values[index + 1].filter((value) => value !== null);
      if (known.length === 0) return `${name}: nothing yet`;
      return `${name}: between ${this.show(Math.min(...known))} and ${this.show(Math.max(...known))}`;
    });
    return `${this.title} over the last ten minutes. ${parts.join(". ")}.`;
  }
}

/** All charts, in the order of CHARTS. */
export class Charts {
  constructor(parent) {
    this.charts = CHARTS.map((each) => new Chart(each));
    parent.append(...this.charts.map(({ figure }) => figure));
    this.draw();
    // Canvases know neither the page's width nor its colours.
    let width = parent.clientWidth;
    new ResizeObserver(() => {
      if (parent.clientWidth === width) return;
      width = parent.clientWidth;
      this.draw();
    }).observe(parent);
    matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => this.draw());
  }

  draw() { this.charts.forEach((chart) => chart.draw()); }

  /** Add a moment: `{snapshot, rates}`, with `rates` those of all workers, if any. */
  add(moment) { this.charts.forEach((chart) => chart.add(Date.parse(moment.snapshot.time) / 1000, moment)); }

  /** A gap: nothing is known of this time (seconds since 1970). */
  gap(time) { this.charts.forEach((chart) => { if (time > chart.until()) chart.add(time, null); }); }
}
