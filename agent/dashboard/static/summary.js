/** The few figures that say at a glance how the agent itself stands. */

import { arrange, h, setData, setText } from "./dom.js";
import { age, count, value } from "./format.js";

const RECOVERY = /^recovery\.|^component\.restarted$|\.resumed$/;

/**
 * @typedef {{key: string, label: string, text: string, mood: ""|"good"|"warn"|"bad", title?: string}} Figure
 */

export class Summary {
  root = h("ul", { class: "figures", dataset: { testid: "figures" } });
  #items = new Map();

  /** @param {Figure[]} figures */
  show(figures) {
    arrange(this.root, figures.map((figure) => this.#item(figure)));
  }

  #item({ key, label, text, mood, title = "" }) {
    let item = this.#items.get(key);
    if (!item) {
      item = h("li", { dataset: { figure: key } }, h("b"), h("span", {}, label));
      this.#items.set(key, item);
    }
    setText(item.firstChild, text);
    setText(item.lastChild, label);
    setData(item, "mood", mood);
    item.title = title;
    return item;
  }
}

/**
 * The figures of one host.
 * @param {import("./host_data.js").HostData} data
 * @param {{all: number, notClosed: string[]}} breakers
 * @param {{fill: number|undefined, dropped: number}} flow
 * @param {number|undefined} sampling Share of points that are taken in
 * @returns {Figure[]} Only those that the agent reports.
 */
export function figuresOf(data, breakers, flow, sampling) {
  const newest = (name) => data.models.get(name)?.lines[0]?.last;
  return [
    breakerFigure(breakers),
    figure("fill", "fullest buffer", flow.fill, "ratio", fillMood(flow.fill)),
    { key: "dropped", label: "points dropped", text: count(flow.dropped), mood: flow.dropped ? "warn" : "good" },
    figure("sampling", "of points kept", sampling, "ratio", sampling < 0.995 ? "warn" : "good"),
    recoveryFigure(data),
    restartFigure(data),
    missedFigure(data),
    figure("tick", "last tick took", newest("agent_tick_duration_s"), "s", ""),
    figure("cpu", "agent's CPU", newest("agent_cpu_ratio"), "ratio", ""),
    figure("rss", "agent's memory", newest("agent_rss_bytes"), "bytes", ""),
  ].filter((one) => one !== null);
}

function figure(key, label, number, unit, mood) {
  return number === undefined ? null : { key, label, text: value(number, unit), mood };
}

function fillMood(fill) {
  if (fill >= 0.8) return "bad";
  return fill >= 0.5 ? "warn" : "good";
}

function breakerFigure({ all, notClosed }) {
  const text = notClosed.length ? `${notClosed.length} of ${all}` : `${all} of ${all}`;
  const label = notClosed.length ? "breakers not closed" : "breakers closed";
  return { key: "breakers", label, text, mood: notClosed.length ? "bad" : "good", title: notClosed.join(", ") };
}

function recoveryFigure(data) {
  const recoveries = data.events.filter((event) => RECOVERY.test(event.kind));
  const last = recoveries.at(-1);
  const title = last ? `last: ${last.kind} of ${last.component}, ${age(data.now_s() - last.time_s)} ago` : "";
  return { key: "recoveries", label: recoveries.length === 1 ? "recovery" : "recoveries", text: count(recoveries.length), mood: recoveries.length ? "warn" : "good", title };
}

/** A start that follows another in the window. */
function restartFigure(data) {
  const starts = data.events.filter((event) => event.kind === "agent.started").length;
  return starts > 1 ? { key: "restarts", label: starts === 2 ? "restart" : "restarts", text: count(starts - 1), mood: "warn" } : null;
}

function missedFigure(data) {
  const model = data.models.get("agent_missed_ticks_total") ?? data.models.get("agent_missed_ticks");
  if (!model?.lines.length) return null;
  const missed = model.growth(model.lines[0]);
  return { key: "missed", label: "ticks missed", text: count(missed), mood: missed ? "warn" : "good" };
}
