/** One group of charts: a heading, the charts that matter most, and a button for the rest. */

import { arrange, h, setText } from "./dom.js";
import { compareNames } from "./naming.js";

const FIRST_SHOWN = 6;

/** What operators look for first; then everything else; what hardly ever changes comes last. */
const RANKS = [
  /(used|busy|fill|cpu)_ratio$|^load_1m$/,
  /user|system|iowait|available|used_bytes|(read|written|received|sent)_bytes|resident|cores|established|retransmitted|breaker_state|tick_duration|rss|^load_\d+m$/,
];
const LAST = /_(max|limit|count|total)(_bytes)?$/;

/** Order of two series names within a group. */
export function compareImportance(one, other) {
  return rank(one) - rank(other) || words(one) - words(other) || compareNames(one, other);
}

function rank(name) {
  const at = RANKS.findIndex((pattern) => pattern.test(name));
  if (at >= 0) return at;
  return LAST.test(name) ? RANKS.length + 1 : RANKS.length;
}

const words = (name) => name.split("_").length;

export class ChartGroup {
  #count = h("span", { class: "count" });
  #grid = h("div", { class: "grid" });
  #more = h("button", { type: "button", class: "more" });
  #isOpen = false;
  #cards = [];

  /** @param {string} name */
  constructor(name) {
    const heading = h("h3", { tabindex: "-1" }, name, " ", this.#count);
    this.root = h("section", { class: "group", dataset: { testid: "group", group: name } }, heading, this.#grid, this.#more);
    this.#more.addEventListener("click", () => this.#toggle());
    const goTo = () => {
      this.root.scrollIntoView({ block: "start" });
      heading.focus({ preventScroll: true });
    };
    /** Leads to the group from above. */ this.button = h("button", { type: "button", onclick: goTo }, name);
  }

  /**
   * @param {Element[]} cards Of all its charts, in order.
   * @param {boolean} showsAll True while a search has chosen them.
   */
  show(cards, showsAll) {
    this.#cards = cards;
    const isCut = !this.#isOpen && !showsAll;
    arrange(this.#grid, isCut ? cards.slice(0, FIRST_SHOWN) : cards);
    setText(this.#count, String(cards.length));
    this.#more.hidden = showsAll || cards.length <= FIRST_SHOWN;
    this.#more.setAttribute("aria-expanded", String(this.#isOpen));
    setText(this.#more, this.#isOpen ? "Show fewer" : `Show ${cards.length - FIRST_SHOWN} more`);
  }

  #toggle() {
    this.#isOpen = !this.#isOpen;
    this.show(this.#cards, false);
  }
}
