/** Events, newest first, with filters by level, kind, component, text and, for the whole fleet, host. */

import { h, setText } from "./dom.js";
import { foldGaps } from "./event_runs.js";
import { clock, figures, moment } from "./format.js";
import { compareNames } from "./naming.js";
import { hostRoute } from "./route.js";

const SHOWN = 200;
/** Seconds beyond this are a moment and no length of time. */
const FIRST_MOMENT_S = 1e9;
const LEVEL_RANK = { info: 0, warning: 1, error: 2 };

export class EventsPanel {
  root = h("div", { class: "card events", dataset: { testid: "events" } });
  #level = select("Level", [["", "all levels"], ["warning", "warnings and errors"], ["error", "errors"]], () => this.draw());
  #choices;
  #text = h("input", { type: "search", placeholder: "Search events", "aria-label": "Search events", oninput: () => this.draw() });
  #list = h("ol", { class: "event-list", tabindex: "0", "aria-label": "Events, newest first" });
  #note = h("p", { class: "empty", role: "status" });
  #source;

  /**
   * @param {{events: Object[]}} source Oldest first.
   * @param {boolean} [isFleet] True shows and filters hosts.
   */
  constructor(source, isFleet = false) {
    this.#source = source;
    const changed = () => this.draw();
    this.#choices = [
      ...(isFleet ? [new Choice("Host", "all hosts", (event) => event.agent, changed)] : []),
      new Choice("Kind", "all kinds", family, changed),
      new Choice("Component", "all components", (event) => event.component, changed),
    ];
    this.isFleet = isFleet;
    const filters = h("div", { class: "filters" }, this.#level, ...this.#choices.map((choice) => choice.root), this.#text);
    this.root.append(h("div", { class: "head" }, h(isFleet ? "h1" : "h3", { tabindex: "-1" }, "Events"), filters), this.#list, this.#note);
  }

  /** Show what the filters let through. */
  draw() {
    const { events } = this.#source;
    for (const choice of this.#choices) choice.offer(events);
    const passed = foldGaps(events.filter((event) => this.#passes(event)).sort((one, other) => one.time_s - other.time_s));
    const shown = passed.slice(-SHOWN).reverse();
    this.#list.replaceChildren(...shown.map((event) => item(event, this.isFleet)));
    this.#list.hidden = !shown.length;
    setText(this.#note, note(events.length, passed.length));
  }

  focusSearch() {
    this.#text.focus();
  }

  #passes(event) {
    const level = this.#level.value;
    if (level && (LEVEL_RANK[event.level] ?? 0) < LEVEL_RANK[level]) return false;
    if (!this.#choices.every((choice) => choice.passes(event))) return false;
    const text = this.#text.value.trim().toLowerCase();
    return !text || `${event.agent} ${event.kind} ${event.component} ${detailText(event)}`.toLowerCase().includes(text);
  }
}

/** A filter that offers what occurs. */
class Choice {
  #all;
  #keyOf;
  #offered = "";

  constructor(label, all, keyOf, onchange) {
    this.#all = all;
    this.#keyOf = keyOf;
    this.root = select(label, [["", all]], onchange);
  }

  offer(events) {
    const keys = [...new Set(events.map(this.#keyOf))].sort(compareNames);
    if (keys.join() === this.#offered) return;
    this.#offered = keys.join();
    const chosen = this.root.value;
    this.root.replaceChildren(...[["", this.#all], ...keys.map((key) => [key, key])].map(option));
    this.root.value = keys.includes(chosen) ? chosen : "";
  }

  passes(event) {
    return !this.root.value || this.#keyOf(event) === this.root.value;
  }
}

const family = (event) => event.kind.split(".", 1)[0];

function detailText(event) {
  const facts = typeof event.detail === "object" && event.detail !== null ? event.detail : { detail: event.detail };
  return Object.entries(facts).map(([key, fact]) => `${key}=${factText(key, fact)}`).join("  ");
}

/** Moments (`from_s`, `to_s`) are told as the clock shows them. */
function factText(key, fact) {
  if (typeof fact !== "number") return fact;
  return key.endsWith("_s") && fact > FIRST_MOMENT_S ? clock(fact) : figures(fact);
}

function item(event, isFleet) {
  const detail = detailText(event);
  return h(
    "li",
    { dataset: { testid: "event", kind: event.kind, level: event.level } },
    h("time", { datetime: new Date(event.time_s * 1000).toISOString(), title: moment(event.time_s) }, clock(event.time_s)),
    h("span", { class: "chip level", dataset: { state: event.level } }, event.level),
    isFleet ? h("a", { class: "event-host", href: hostRoute(event.agent) }, event.agent) : null,
    h("span", { class: "event-kind" }, event.kind),
    h("span", { class: "event-component" }, event.component),
    h("span", { class: "event-detail", title: detail }, detail),
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
