/** One row of the timeline: a breaker's state as a chip, and its life over the window as a strip. */

import { h, setData, setText, svg } from "./dom.js";
import { age, clock } from "./format.js";
import { UNKNOWN, present, trips } from "./breaker_history.js";

const STRIP_WIDTH = 1000;
const STRIP_HEIGHT = 14;
const LEAST_WIDTH = 4;
/** States differ in height too, for whoever cannot tell their colours apart. */
const BAR_HEIGHT = { CLOSED: 5, HALF_OPEN: 10, OPEN: STRIP_HEIGHT, UNKNOWN: 1.5 };

export class BreakerRow {
  #chip = h("span", { class: "chip" });
  #since = h("span", { class: "since" });
  #strip = svg("svg", { viewBox: `0 0 ${STRIP_WIDTH} ${STRIP_HEIGHT}`, preserveAspectRatio: "none", role: "img" });
  #name;
  #toggle;

  /** @param {string} target "" for the row that stands for several. @param {() => void} [ontoggle] What its button does. */
  constructor(target, ontoggle) {
    this.target = target;
    const [kind, ...rest] = target.split(":");
    this.#name = h("span", { class: "breaker-name", title: target }, rest.length ? h("small", {}, kind) : null, rest.join(":") || kind);
    this.#toggle = ontoggle ? h("button", { type: "button", class: "fold", onclick: ontoggle }) : null;
    const dataset = target ? { testid: "breaker", breaker: target } : { testid: "folded" };
    this.root = h("div", { class: "breaker", dataset }, this.#name, this.#chip, this.#toggle ?? this.#since, this.#strip);
  }

  /** Words of the row that stands for several. */
  name(text, action, isOpen) {
    setText(this.#name, text);
    setText(this.#toggle, action);
    this.#toggle.setAttribute("aria-expanded", String(isOpen));
  }

  /** @param {import("./breaker_history.js").Stretch[]} life @param {[number, number]} range @param {string} [words] Its life in words. */
  show(life, [from_s, to_s], words) {
    const { state, since_s } = present(life);
    const since = Number.isNaN(since_s) ? "" : `for ${age(to_s - since_s)}`;
    setData(this.root, "state", state);
    setData(this.#chip, "state", state);
    setText(this.#chip, state);
    setText(this.#since, since);
    const opened = trips(life);
    const told = words ?? `${this.target}: ${state} ${since}, opened ${opened} ${opened === 1 ? "time" : "times"} in the window`;
    this.#strip.setAttribute("aria-label", told);
    this.#strip.replaceChildren(...life.map((stretch) => bar(stretch, from_s, STRIP_WIDTH / (to_s - from_s))));
  }
}

/** A stretch too short for the screen is still seen, as long as it is no usual state. */
function bar({ state, from_s, to_s }, start_s, perSecond) {
  const x = (from_s - start_s) * perSecond;
  const isUsual = state === "CLOSED" || state === UNKNOWN;
  const width = Math.max((to_s - from_s) * perSecond, isUsual ? 0 : LEAST_WIDTH);
  const title = `${state} ${clock(from_s)} – ${clock(to_s)} (${age(to_s - from_s)})`;
  const height = BAR_HEIGHT[state];
  const shape = { x, width, y: (STRIP_HEIGHT - height) / 2, height };
  return svg("rect", { ...shape, class: `bar state-${state}` }, svg("title", {}, title));
}
