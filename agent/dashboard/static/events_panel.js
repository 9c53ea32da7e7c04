/** The events of a host, newest first, with filters by level, kind and text. */

import { h, setText } from "./dom.js";
import { clock, figures, moment } from "./format.js";

const SHOWN = 200;
const LEVEL_RANK = { info: 0, warning: 1, error: 2 };

export class EventsPanel {
  root = h("div", { class: "card events", dataset: { testid: "events" } });
  #level = select("Level", [["", "all levels"], ["warning", "warnings and errors"], ["error", "errors"]], () => this.draw());
  #kind = select("Kind", [["", "all kinds"]], () => this.draw());
  #text = h("input", { type: "search", placeholder: "Search events", "aria-label": "Search events", oninput: () => this.draw() });
  #list = h("ol", { class: "event-list", tabindex: "0", "aria-label": "Events, newest first" });
  #note = h("p", { class: "empty", role: "status" });
  #kinds = "";
  #data;

  /** @param {import("./host_data.js").HostData} data */
  constructor(data) {
    this.#data = data;
    const filters = h("div", { class: "filters" }, this.#level, this.#kind, this.#text);
    this.root.append(h("div", { class: "head" }, h("h3", {}, "Events"), filters), this.#list, this.#note);
  }

  /** Show what the filters let through. */
  draw() {
    this.#offerKinds();
    const passed = this.#data.events.filter((event) => this.#passes(event));
    const shown = passed.slice(-SHOWN).reverse();
    this.#list.replaceChildren(...shown.map(item));
    this.#list.hidden = !shown.length;
    setText(this.#note, note(this.#data.events.length, passed.length));
  }

  #passes(event) {
    const level = this.#level.value;
    if (level && (LEVEL_RANK[event.level] ?? 0) < LEVEL_RANK[level]) return false;
    if (this.#kind.value && family(event) !== this.#kind.value) return false;
    const text = this.#text.value.trim().toLowerCase();
    return !text || `${event.kind} ${event.component} ${detailText(event)}`.toLowerCase().includes(text);
  }

  #offerKinds() {
    const kinds = [...new Set(this.#data.events.map(family))].sort();
    if (kinds.join() === this.#kinds) return;
    this.#kinds = kinds.join();
    const chosen = this.#kind.value;
    this.#kind.replaceChildren(...[["", "all kinds"], ...kinds.map((kind) => [kind, kind])].map(option));
    this.#kind.value = kinds.includes(chosen) ? chosen : "";
  }
}

const family = (event) => event.kind.split(".", 1)[0];

function detailText(event) {
  const facts = typeof event.detail === "object" && event.detail !== null ? event.detail : { detail: event.detail };
  return Object.entries(facts).map(([key, fact]) => `${key}=${typeof fact === "number" ? figures(fact) : fact}`).join("  ");
}

function item(event) {
  return h(
    "li",
    { dataset: { testid: "event", kind: event.kind, level: event.level } },
    h("time", { datetime: new Date(event.time_s * 1000).toISOString(), title: moment(event.time_s) }, clock(event.time_s)),
    h("span", { class: "chip level", dataset: { state: event.level } }, event.level),
    h("span", { class: "event-kind" }, event.kind),
    h("span", { class: "event-component" }, event.component),
    h("span", { class: "event-detail" }, detailText(event)),
  );
}

function note(all, passed) {
  if (!all) return "Nothing has happened in this window.";
  if (!passed) return `None of ${all} events passes the filters.`;
  return passed > SHOWN ? `The newest ${SHOWN} of ${passed} events.` : "";
}

function select(label, options, onchange) {
  return h("select", { "aria-label": label, onchange }, ...options.map(option));
}

function option([value, text]) {
  return h("option", { value }, text);
}
