/** Making and changing elements. Text is only ever set as text, so nothing from a host can become markup. */

const SVG = "http://www.w3.org/2000/svg";

/**
 * One element.
 * @param {string} tag
 * @param {Object<string, unknown>} [props] `class`, `dataset` (an object), `on*` listeners, else attributes; null and false leave one out.
 * @param {...(Node|string|null)} children
 * @returns {HTMLElement}
 */
export function h(tag, props = {}, ...children) {
  return fill(document.createElement(tag), props, children);
}

/** As `h`, for SVG. @returns {SVGElement} */
export function svg(tag, props = {}, ...children) {
  return fill(document.createElementNS(SVG, tag), props, children);
}

function fill(element, props, children) {
  for (const [key, value] of Object.entries(props)) setProp(element, key, value);
  element.append(...children.filter((child) => child !== null && child !== undefined));
  return element;
}

function setProp(element, key, value) {
  if (value === null || value === undefined || value === false) return;
  if (key === "dataset") Object.assign(element.dataset, value);
  else if (key.startsWith("on")) element.addEventListener(key.slice(2), value);
  else element.setAttribute(key, value === true ? "" : String(value));
}

/** Set an element's text when it differs. */
export function setText(element, text) {
  if (element.textContent !== text) element.textContent = text;
}

/** Set a data attribute when it differs. */
export function setData(element, key, value) {
  const text = String(value);
  if (element.dataset[key] !== text) element.dataset[key] = text;
}

/**
 * Make `parent` hold exactly `children`, in that order, touching it only when something changed.
 * @param {Element} parent
 * @param {Element[]} children
 */
export function arrange(parent, children) {
  const now = parent.children;
  if (now.length === children.length && children.every((child, at) => now[at] === child)) return;
  parent.replaceChildren(...children);
}
