/** Restarts, recoveries and what else happens at one moment, as marks on one lane of the timeline. */

import { arrange, h, setText, svg } from "./dom.js";
import { clock } from "./format.js";

const WIDTH = 1000;
const HEIGHT = 14;

/** Kinds of event worth a mark: what they are called, and their class. */
const MARKS = [
  [/^agent\.started$/, "restart", "restart"],
  [/^component\.restarted$|^recovery\.|\.resumed$|^spool\.recovered$/, "recovery", "recovery"],
  [/^component\.disabled$|^spool\.(failed|damaged)$|\.refused$/, "failure", "failure"],
  [/^config\.reloaded$/, "reload", "reload"],
  [/^load\./, "load", "load"],
  [/^anomaly\.found$/, "anomaly", "anomaly"],
];

/**
 * The mark of an event; null when it has none.
 * @param {{kind: string}} event
 * @returns {{word: string, style: string}|null}
 */
export function markOf(event) {
  const found = MARKS.find(([pattern]) => pattern.test(event.kind));
  return found ? { word: found[1], style: found[2] } : null;
}

export class Happenings {
  #text = h("span", { class: "lane-value" });
  #note = h("span", { class: "since" });
  #strip = svg("svg", { viewBox: `0 0 ${WIDTH} ${HEIGHT}`, preserveAspectRatio: "none", role: "img" });
  root = h("div", { class: "breaker lane", dataset: { testid: "happenings" } }, h("span", { class: "breaker-name" }, "happenings"), this.#text, this.#note, this.#strip);

  /** @param {Object[]} events Oldest first. @param {[number, number]} range_s */
  show(events, [from_s, to_s]) {
    const marked = events.filter((event) => event.time_s >= from_s && event.time_s <= to_s && markOf(event));
    const restarts = marked.filter((event) => markOf(event).style === "restart").length;
    const recoveries = marked.filter((event) => markOf(event).style === "recovery").length;
    setText(this.#text, `${restarts} ${restarts === 1 ? "start" : "starts"}`);
    setText(this.#note, `${recoveries} ${recoveries === 1 ? "recovery" : "recoveries"}`);
    this.#strip.setAttribute("aria-label", `${restarts} starts and ${recoveries} recoveries in the window`);
    arrange(this.#strip, marked.map((event) => mark(event, ((event.time_s - from_s) / (to_s - from_s)) * WIDTH)));
  }
}

function mark(event, x) {
  const title = svg("title", {}, `${clock(event.time_s)} ${event.kind} ${event.component}`);
  return svg("rect", { x: x - 2, y: 0, width: 4, height: HEIGHT, class: `mark mark-${markOf(event).style}` }, title);
}
