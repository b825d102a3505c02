// A request's id is the way to its story: a click copies the command and shows it.

import { byId, element } from "./dom.js";

const SHOWN = 6000; // ms
let timer = null;
let prefix = "ops/";

/** Write commands as whoever started the stack calls them: "ops/logs", "basculectl logs". */
export function callCommands(text) {
  prefix = text;
}

/** A word of a shell command. An id comes from a client where the stack is told to trust one. */
const quoted = (word) => (/^[\w.:@%+,=/-]+$/.test(word) && !word.startsWith("-") ? word : `'${word.replaceAll("'", "'\\''")}'`);

/** The command that prints all lines of the log with an id. */
export const storyOf = (id) => `${prefix}logs --request-id ${quoted(id)}`;

async function copy(command) {
  let words = "Copied";
  try {
    await navigator.clipboard.writeText(command);
  } catch {
    // No permission, or neither HTTPS nor localhost.
    words = "Copy this";
  }
  const note = byId("copied");
  const code = element("code", {}, command);
  note.replaceChildren(`${words}: `, code);
  note.hidden = false;
  if (words !== "Copied") getSelection().selectAllChildren(code);
  clearTimeout(timer);
  if (words === "Copied") timer = setTimeout(() => { note.hidden = true; }, SHOWN);
}

/** A button with `text` that copies a command. */
export function copyButton(text, command) {
  const button = element("button", { type: "button", class: "copy", title: `Copy: ${command}` }, text);
  button.addEventListener("click", () => copy(command));
  return button;
}
