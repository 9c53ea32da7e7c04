/** The button that goes through the page's colours: as the system, light, dark. */

import { svg } from "./dom.js";

const { rebellionTheme } = globalThis;
const WORDS = { system: "as the system has them", light: "light", dark: "dark" };
const RAYS = [0, 1, 2, 3, 4, 5, 6, 7].map((nth) => `M8 8m${ray(nth, 4.9)}l${ray(nth, 2.2)}`).join("");
const SHAPES = { system: "M8 2a6 6 0 1 0 .01 0zM8 2a6 6 0 0 0 0 12z", light: `M8 4.9a3.1 3.1 0 1 0 .01 0z${RAYS}`, dark: "M6 2.2a6.2 6.2 0 1 0 7.8 8A6.4 6.4 0 0 1 6 2.2z" };

/** @param {HTMLButtonElement} button */
export function showThemeOn(button) {
  const shape = svg("path", { class: "theme-mark" });
  button.replaceChildren(svg("svg", { viewBox: "0 0 16 16", width: 16, height: 16, "aria-hidden": "true" }, shape));
  const show = () => {
    button.dataset.choice = rebellionTheme.choice;
    shape.setAttribute("d", SHAPES[rebellionTheme.choice]);
    button.setAttribute("aria-label", `Colours: ${WORDS[rebellionTheme.choice]}`);
    button.title = button.getAttribute("aria-label");
  };
  button.addEventListener("click", nextTheme);
  rebellionTheme.changes.addEventListener("change", show);
  show();
}

/** The next choice: system, light, dark, and round again. */
export function nextTheme() {
  rebellionTheme.next();
}

function ray(nth, length) {
  const angle = (nth * Math.PI) / 4;
  return `${(Math.cos(angle) * length).toFixed(2)} ${(Math.sin(angle) * length).toFixed(2)}`;
}
