/** What flows into each sink: buffer fill, what waits, what is sampled, and what was dropped and why. */

import { arrange, h, setData, setText } from "./dom.js";
import { count, value } from "./format.js";
import { compareNames } from "./naming.js";

const FILL_WORRYING = 0.5;
const FILL_BAD = 0.8;
const DROPPED = ["agent_dropped_points_total", "agent_dropped_points"];

/** Facts of a sink: what it is called, the series it is read from, its unit, whether growth per second is meant. */
const FACTS = [
  ["Waiting", "agent_buffer_points", "points", false],
  ["In flight", "agent_in_flight_points", "points", false],
  ["Accepted", "agent_accepted_points_total", "points/s", true],
  ["Delivered", "agent_delivered_points_total", "points/s", true],
  ["Failed deliveries", "agent_failed_deliveries_total", "", false],
  ["On disk", "agent_spooled_points", "points", false],
  ["Spool", "agent_spool_bytes", "bytes", false],
];

export class FlowPanel {
  root = h("div", { class: "card flow", dataset: { testid: "flow" } });
  #sinks = h("div", { class: "sinks" });
  #empty = h("p", { class: "empty" }, "No sink has reported its buffer yet.");
  #cardBySink = new Map();
  #data;

  /** @param {import("./host_data.js").HostData} data */
  constructor(data) {
    this.#data = data;
    this.root.append(h("h3", {}, "Buffers and drops"), this.#sinks, this.#empty);
  }

  /** Show the newest state. @returns {{fill: number|undefined, dropped: number}} Worst fill, drops in the window. */
  draw() {
    const flows = this.#names().map((sink) => this.#flow(sink));
    for (const flow of flows) this.#card(flow.sink).show(flow);
    arrange(this.#sinks, flows.map(({ sink }) => this.#card(sink).root));
    this.#empty.hidden = flows.length > 0;
    return {
      fill: extreme(Math.max, flows.map(({ fill }) => fill)),
      dropped: flows.flatMap(({ drops }) => drops).reduce((sum, drop) => sum + drop.inWindow, 0),
    };
  }

  #names() {
    const models = ["agent_buffer_fill_ratio", ...DROPPED].map((name) => this.#data.models.get(name));
    return [...new Set(models.flatMap((model) => model?.lines.map((line) => line.labels.sink) ?? []))].filter(Boolean).sort(compareNames);
  }

  #flow(sink) {
    const facts = FACTS.map(([word, name, unit, isRate]) => [word, unit, this.#newest(name, sink, isRate)]);
    return {
      sink,
      fill: this.#newest("agent_buffer_fill_ratio", sink, false),
      facts: facts.filter(([, , number]) => number !== undefined),
      drops: DROPPED.flatMap((name) => this.#drops(name, sink)),
    };
  }

  #newest(name, sink, isRate) {
    const model = this.#data.models.get(name);
    const line = model?.lines.find((one) => one.labels.sink === sink);
    if (!line) return undefined;
    return isRate ? recentRate(model.times, line.values) : line.last;
  }

  #drops(name, sink) {
    const model = this.#data.models.get(name);
    const lines = model?.lines.filter((line) => line.labels.sink === sink && line.last > 0) ?? [];
    return lines.map((line) => ({ reason: line.labels.reason ?? "dropped", total: line.last, inWindow: model.growth(line) }));
  }

  #card(sink) {
    if (!this.#cardBySink.has(sink)) this.#cardBySink.set(sink, new SinkCard(sink));
    return this.#cardBySink.get(sink);
  }
}

class SinkCard {
  #fillText = h("span", { class: "fill-text" });
  #meter = h("meter", { min: "0", max: "1", low: String(FILL_WORRYING), high: String(FILL_BAD), optimum: "0" });
  #facts = h("dl", { class: "facts" });
  #drops = h("dl", { class: "drops" });

  constructor(sink) {
    this.#meter.setAttribute("aria-label", `Buffer fill of sink ${sink}`);
    const head = h("div", { class: "sink-head" }, h("h4", {}, sink), this.#fillText);
    this.root = h("section", { class: "sink", dataset: { testid: "sink", sink } }, head, this.#meter, this.#facts, this.#drops);
  }

  show({ fill, facts, drops }) {
    setText(this.#fillText, `buffer ${value(fill, "ratio")} full`);
    this.#meter.value = fill ?? 0;
    setData(this.root, "fill", fill ?? "");
    showPairs(this.#facts, facts.map(([word, unit, number]) => [word, value(number, unit)]));
    const told = drops.map((drop) => [`dropped: ${drop.reason}`, `${count(drop.total)} points${windowNote(drop)}`]);
    showPairs(this.#drops, told.length ? told : [["dropped", "nothing"]]);
    setData(this.root, "dropped", drops.reduce((sum, drop) => sum + drop.total, 0));
  }
}

function windowNote({ total, inWindow }) {
  return inWindow > 0 && inWindow < total ? `, ${count(inWindow)} in the window` : "";
}

function showPairs(list, pairs) {
  if (list.childElementCount !== pairs.length) list.replaceChildren(...pairs.map(() => h("div", {}, h("dt"), h("dd"))));
  pairs.forEach(([word, text], at) => {
    setText(list.children[at].firstChild, word);
    setText(list.children[at].lastChild, text);
  });
}

/** Growth per second over the newest few points of a running total. */
function recentRate(times, totals) {
  const at = totals.findLastIndex((total) => total !== undefined);
  const from = totals.findIndex((total, row) => total !== undefined && times[row] >= times[at] - 5);
  return from < at ? Math.max(0, (totals[at] - totals[from]) / (times[at] - times[from])) : undefined;
}

function extreme(choose, numbers) {
  const known = numbers.filter((number) => number !== undefined);
  return known.length ? choose(...known) : undefined;
}
