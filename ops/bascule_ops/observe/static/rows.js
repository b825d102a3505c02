// A table that follows the snapshots without being built anew: rows are kept by key, so that
// focus, selection and what is unfolded survive a poll.

import { element, setText } from "./dom.js";

/**
 * @param {HTMLTableElement} table with an empty head and body.
 * @param {Array<{label: string, kind?: string, show: (cell, item) => void}>} columns `kind` is
 *   a class of the column: "number", "wide", ...
 * @param {(item) => string} key what an item is known by.
 * @param {(item) => Node | null} [detail] what unfolds under a row; called at each poll while
 *   it is unfolded.
 */
export class Rows {
  constructor(table, columns, key, detail = null) {
    this.body = table.tBodies[0];
    this.columns = columns;
    this.key = key;
    this.detail = detail;
    this.rows = new Map();
    const head = element("tr", { role: "row" });
    for (const { label, kind } of columns) {
      head.append(element("th", { scope: "col", role: "columnheader", class: kind ?? "" }, label));
    }
    table.tHead.append(head);
  }

  /** Show these items in this order. */
  update(items) {
    const wanted = new Map();
    for (const item of items) {
      let key = this.key(item);
      while (wanted.has(key)) key += "+";
      wanted.set(key, item);
    }
    for (const [key, row] of this.rows) {
      if (wanted.has(key)) continue;
      row.line.remove();
      row.below?.remove();
      this.rows.delete(key);
    }
    let place = this.body.firstElementChild;
    for (const [key, item] of wanted) {
      const row = this.rows.get(key) ?? this.add(key);
      row.item = item;
      this.fill(row);
      // Rows that are in their place already are not moved: moving takes the focus away.
      if (row.line === place) place = place.nextElementSibling;
      else this.body.insertBefore(row.line, place);
      if (!row.below) continue;
      if (row.below === place) place = place.nextElementSibling;
      else this.body.insertBefore(row.below, place);
    }
  }

  add(key) {
    const line = element("tr", { role: "row" });
    for (const { label, kind } of this.columns) {
      line.append(element("td", { role: "cell", class: kind ?? "", "data-label": label }));
    }
    const row = { line, below: null, cells: [...line.children], item: null, toggle: null };
    if (this.detail) {
      row.toggle = element("button", { type: "button", class: "fold", "aria-expanded": "false" });
      row.toggle.addEventListener("click", () => this.fold(row));
      row.cells[0].append(row.toggle);
      row.cells[0] = row.toggle;
    }
    this.rows.set(key, row);
    return row;
  }

  fill(row) {
    this.columns.forEach(({ show }, index) => show(row.cells[index], row.item));
    if (row.below) this.unfold(row);
  }

  fold(row) {
    if (row.below) {
      row.below.remove();
      row.below = null;
    } else {
      const cell = element("td", { role: "cell", colspan: String(this.columns.length) });
      row.below = element("tr", { role: "row", class: "detail" }, cell);
      row.line.after(row.below);
      this.unfold(row);
    }
    row.toggle.setAttribute("aria-expanded", String(Boolean(row.below)));
  }

  unfold(row) {
    const cell = row.below.firstElementChild;
    const fresh = this.detail(row.item);
    // Compared as text, so that a button in it keeps the focus while nothing changes.
    if (cell.firstElementChild?.textContent !== fresh.textContent) cell.replaceChildren(fresh);
  }
}

/** A column whose cell is plain text. */
export const column = (label, read, kind = "") => ({
  label, kind, show: (cell, item) => setText(cell, read(item)),
});
