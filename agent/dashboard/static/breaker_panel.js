/** One row a breaker: its state as a chip, and its life over the window as a strip. */

import { gapLimit_s } from "./columns.js";
import { arrange, h, setData, setText, svg } from "./dom.js";
import { age, clock } from "./format.js";
import { compareNames } from "./naming.js";
import { UNKNOWN, present, stateOfEvent, stateOfValue, stretches, trips } from "./breaker_history.js";

const SERIES = "agent_breaker_state";
const STRIP_WIDTH = 1000;
const STRIP_HEIGHT = 14;
const LEAST_WIDTH = 4;
/** States differ in height too, for whoever cannot tell their colours apart. */
const BAR_HEIGHT = { CLOSED: 5, HALF_OPEN: 10, OPEN: STRIP_HEIGHT, UNKNOWN: 1.5 };
const TICKS = 4;

/** How much a state wants to be seen: the worst come first, then sinks, then the rest. */
const WEIGHT = { OPEN: 0, HALF_OPEN: 1, UNKNOWN: 2, CLOSED: 2 };

export class BreakerPanel {
  /** Shown where there is nothing to show. */ #empty = h("p", { class: "empty" }, "No breaker has reported its state yet.");
  #rows = h("div", { class: "breaker-rows" });
  #axis = h("div", { class: "axis", "aria-hidden": "true" });
  root = h("div", { class: "card breakers", dataset: { testid: "breakers" } });
  #rowByTarget = new Map();
  #data;

  /** @param {import("./host_data.js").HostData} data */
  constructor(data) {
    this.#data = data;
    this.root.append(h("h3", {}, "Breakers"), legend(), this.#rows, this.#axis, this.#empty);
  }

  /** Draw the lives of all breakers up to now. @returns {{all: number, notClosed: string[]}} */
  draw() {
    const range = this.#data.range_s();
    const lives = this.#lives(range);
    for (const { target, life } of lives) this.#row(target).show(life, range);
    lives.sort((one, other) => compareLives(one, other));
    arrange(this.#rows, lives.map(({ target }) => this.#row(target).root));
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

class BreakerRow {
  #chip = h("span", { class: "chip" });
  #since = h("span", { class: "since" });
  #strip = svg("svg", { viewBox: `0 0 ${STRIP_WIDTH} ${STRIP_HEIGHT}`, preserveAspectRatio: "none", role: "img" });

  constructor(target) {
    this.target = target;
    const [kind, ...rest] = target.split(":");
    const name = h("span", { class: "breaker-name", title: target }, rest.length ? h("small", {}, kind) : null, rest.join(":") || kind);
    this.root = h("div", { class: "breaker", dataset: { testid: "breaker", breaker: target } }, name, this.#chip, this.#since, this.#strip);
  }

  /** @param {import("./breaker_history.js").Stretch[]} life @param {[number, number]} range */
  show(life, [from_s, to_s]) {
    const { state, since_s } = present(life);
    const since = Number.isNaN(since_s) ? "" : `for ${age(to_s - since_s)}`;
    setData(this.root, "state", state);
    setData(this.#chip, "state", state);
    setText(this.#chip, state);
    setText(this.#since, since);
    const opened = trips(life);
    const words = `${this.target}: ${state} ${since}, opened ${opened} ${opened === 1 ? "time" : "times"} in the window`;
    this.#strip.setAttribute("aria-label", words);
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
