/** The timeline: one row a breaker with its life over the window, and under them what the agent did about it. */

import { BreakerRow } from "./breaker_row.js";
import { gapLimit_s } from "./columns.js";
import { arrange, h, setData, setText } from "./dom.js";
import { clock } from "./format.js";
import { Happenings } from "./happenings.js";
import { Lanes } from "./lanes.js";
import { compareNames } from "./naming.js";
import { UNKNOWN, present, stateOfEvent, stateOfValue, stretches } from "./breaker_history.js";

const SERIES = "agent_breaker_state";
/** So many collectors that were closed throughout are shown as one row. */
const FOLD_FROM = 4;
const TICKS = 4;

/** How much a state wants to be seen: the worst come first, then sinks, then the rest. */
const WEIGHT = { OPEN: 0, HALF_OPEN: 1, UNKNOWN: 2, CLOSED: 2 };

export class BreakerPanel {
  /** Shown where there is nothing to show. */ #empty = h("p", { class: "empty" }, "No breaker has reported its state yet.");
  #rows = h("div", { class: "breaker-rows" });
  #axis = h("div", { class: "axis", "aria-hidden": "true" });
  root = h("div", { class: "card breakers", dataset: { testid: "breakers" } });
  #rowByTarget = new Map();
  #fold = new BreakerRow("", () => this.#toggle());
  #isFolded = true;
  #lanes;
  #happenings = new Happenings();
  #laneBox = h("div", { class: "lanes" });
  #data;

  /** @param {import("./host_data.js").HostData} data */
  constructor(data) {
    this.#data = data;
    this.#lanes = new Lanes(data);
    this.root.append(h("h3", {}, "Timeline"), legend(), this.#rows, this.#empty, this.#laneBox, this.#axis);
  }

  /** Draw the lives of all breakers up to now. @returns {{all: number, notClosed: string[]}} */
  draw() {
    const range = this.#data.range_s();
    const lives = this.#lives(range);
    for (const { target, life } of lives) this.#row(target).show(life, range);
    lives.sort((one, other) => compareLives(one, other));
    arrange(this.#rows, this.#shownRows(lives, range));
    this.#happenings.show(this.#data.events, range);
    arrange(this.#laneBox, [...this.#lanes.draw(range), this.#happenings.root]);
    this.#empty.hidden = lives.length > 0;
    this.#drawAxis(range);
    const notClosed = lives.filter(({ now }) => WEIGHT[now.state] < WEIGHT.CLOSED).map(({ target }) => target);
    return { all: lives.length, notClosed };
  }

  #lives([from_s, to_s]) {
    const model = this.#data.models.get(SERIES);
    const gap_s = Math.max(gapLimit_s(model?.times ?? []), 3);
    const samples = new Map((model?.lines ?? []).map((line) => [line.labels.target ?? line.series, samplesOf(model, line)]));
    const changes = changesByTarget(this.#data.events);
    return [...new Set([...samples.keys(), ...changes.keys()])].map((target) => {
      const life = stretches(samples.get(target) ?? [], changes.get(target) ?? [], from_s, to_s, gap_s);
      return { target, life, now: present(life) };
    });
  }

  /** Rows in order; collectors that were closed throughout fold into one when they are many. */
  #shownRows(lives, range) {
    const isQuiet = ({ target, life }) => target.startsWith("collector:") && life.every(({ state }) => state === "CLOSED" || state === UNKNOWN);
    const quiet = lives.filter(isQuiet);
    const canFold = quiet.length >= FOLD_FROM;
    const shown = canFold && this.#isFolded ? lives.filter((life) => !isQuiet(life)) : lives;
    const rows = shown.map(({ target }) => this.#row(target).root);
    if (!canFold) return rows;
    this.#fold.name(`${quiet.length} collectors`, this.#isFolded ? "show all" : "show fewer", !this.#isFolded);
    this.#fold.show(quiet[0].life, range, `${quiet.length} collectors were closed throughout`);
    const at = rows.length - (this.#isFolded ? 0 : quiet.length);
    return [...rows.slice(0, at), this.#fold.root, ...rows.slice(at)];
  }

  #toggle() {
    this.#isFolded = !this.#isFolded;
    this.draw();
  }

  #row(target) {
    if (!this.#rowByTarget.has(target)) this.#rowByTarget.set(target, new BreakerRow(target));
    return this.#rowByTarget.get(target);
  }

  #drawAxis([from_s, to_s]) {
    const labels = Array.from({ length: TICKS + 1 }, (_, at) => clock(from_s + ((to_s - from_s) * at) / TICKS));
    if (this.#axis.childElementCount !== labels.length) this.#axis.replaceChildren(...labels.map(() => h("span")));
    labels.forEach((label, at) => setText(this.#axis.children[at], label));
  }
}

function samplesOf(model, line) {
  const samples = [];
  model.times.forEach((time_s, at) => {
    if (line.values[at] !== undefined) samples.push({ time_s, state: stateOfValue(line.values[at]) });
  });
  return samples;
}

function changesByTarget(events) {
  const changes = new Map();
  for (const event of events) {
    const state = stateOfEvent(event);
    if (state) changes.set(event.component, [...(changes.get(event.component) ?? []), { time_s: event.time_s, state }]);
  }
  return changes;
}

function compareLives(one, other) {
  const isSink = (life) => (life.target.startsWith("sink:") ? 0 : 1);
  return WEIGHT[one.now.state] - WEIGHT[other.now.state] || isSink(one) - isSink(other) || compareNames(one.target, other.target);
}

function legend() {
  const item = (state, text) => h("span", {}, h("i", { class: `swatch state-${state}` }), text);
  const items = [item("CLOSED", "closed"), item("HALF_OPEN", "half-open, probing"), item("OPEN", "open"), item(UNKNOWN, "no data")];
  return h("p", { class: "strip-legend", "aria-hidden": "true" }, ...items);
}
