// Numbers as people read them. No value: an en dash.

export const NONE = "–";

const isNumber = (value) => typeof value === "number" && Number.isFinite(value);

/** Three significant digits, no exponent: 0.123, 4.56, 78.9, 1,234. */
export function number(value) {
  if (!isNumber(value)) return NONE;
  const size = Math.abs(value);
  const digits = size >= 100 || Number.isInteger(value) ? 0 : size >= 10 ? 1 : 2;
  return value.toLocaleString("en", { minimumFractionDigits: digits, maximumFractionDigits: digits });
}

/** How long a call takes, of seconds: 120 µs, 4.5 ms, 1.20 s. */
export function duration(seconds) {
  if (!isNumber(seconds)) return NONE;
  if (seconds === 0) return "0 ms";
  if (seconds < 0.001) return `${Math.round(seconds * 1e6)} µs`;
  if (seconds < 1) return `${number(seconds * 1e3)} ms`;
  return `${number(seconds)} s`;
}

/** How long something has been, of seconds: 4.2 s, 3 min 05 s, 2 h 10 min, 5 d 3 h. */
export function age(seconds) {
  if (!isNumber(seconds)) return NONE;
  const two = (value) => String(Math.floor(value)).padStart(2, "0");
  if (seconds < 60) return `${seconds.toFixed(1)} s`;
  if (seconds < 3600) return `${Math.floor(seconds / 60)} min ${two(seconds % 60)} s`;
  if (seconds < 86400) return `${Math.floor(seconds / 3600)} h ${two((seconds % 3600) / 60)} min`;
  return `${Math.floor(seconds / 86400)} d ${Math.floor((seconds % 86400) / 3600)} h`;
}

/** Bytes in powers of 1024. */
export function bytes(value) {
  if (!isNumber(value)) return NONE;
  const units = ["B", "KiB", "MiB", "GiB", "TiB"];
  let unit = 0;
  for (; value >= 1024 && unit < units.length - 1; unit += 1) value /= 1024;
  return `${number(value)} ${units[unit]}`;
}

/** A part of one, as per cent. */
export const percent = (part) => (isNumber(part) ? `${Math.round(part * 100)} %` : NONE);

/** The reader's time of day; the date as well where that is another day. */
export function clock(time) {
  const moment = new Date(time);
  if (Number.isNaN(moment.getTime())) return NONE;
  const day = moment.toDateString() === new Date().toDateString() ? "" : `${moment.toLocaleDateString("sv")} `;
  return day + moment.toLocaleTimeString("sv");
}

/** A place in the code, its file by the last two parts of its path; the rest is in the stack. */
export const place = (frame) => frame?.split("/").slice(-2).join("/") ?? NONE;

/** "1 check", "2 checks". */
export const count = (amount, noun) => `${amount.toLocaleString("en")} ${noun}${amount === 1 ? "" : "s"}`;
