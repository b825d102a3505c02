// The few things that this page does with the document. Whatever comes from the stack (paths,
// messages, names) reaches it through textContent only: a client writes some of it.

/** The element with an id. */
export const byId = (id) => document.getElementById(id);

/** Set text where it differs: a selection, and a screen reader, survive what stays the same. */
export function setText(node, text) {
  if (node.textContent !== text) node.textContent = text;
}

/** Set an attribute where it differs. */
export function setAttribute(node, name, value) {
  if (node.getAttribute(name) !== value) node.setAttribute(name, value);
}

/** A new element with attributes and children (nodes or strings). */
export function element(tag, attributes = {}, ...children) {
  const node = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) node.setAttribute(name, value);
  node.append(...children);
  return node;
}

/** Make a list hold one `li` an item, each filled by `fill(li, item)`. */
export function fillList(list, items, fill) {
  while (list.children.length > items.length) list.lastElementChild.remove();
  while (list.children.length < items.length) list.append(element("li"));
  items.forEach((item, index) => fill(list.children[index], item));
}
