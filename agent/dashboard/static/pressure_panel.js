/** Why the agent samples and slows down: every pressure it watches, and what it decided from them. */

import { arrange, h, setData, setText } from "./dom.js";
import { figures, value } from "./format.js";
import { compareNames } from "./naming.js";
import { worstPressure } from "./lanes.js";

const WORRYING = 0.5;
const PRESSED = 0.8;

/** What the names of pressures mean. */
const WORDS = { buffer: "fullest buffer", queue_delay: "standing queue", sink_breaker: "sinks refused", own_cpu: "agent's CPU", own_memory: "agent's memory", memory_stall: "host stalls for memory" };

export class PressurePanel {
  root = h("div", { class: "card pressure", dataset: { testid: "pressure" } });
  #words = h("p", { class: "pressure-words" });
  #meters = h("div", { class: "pressures" });
  #rowByInput = new Map();
  #data;

  /** @param {import("./host_data.js").HostData} data */
  constructor(data) {
    this.#data = data;
    this.root.append(h("h3", {}, "Pressure and what is done about it"), this.#words, this.#meters);
  }

  /** Show the newest state. @returns {number|undefined} Share of points that sampling takes in. */
  draw() {
    const newest = (name) => this.#data.models.get(name)?.lines[0]?.last;
    const sampling = newest("agent_sampling_ratio");
    this.root.hidden = sampling === undefined;
    setText(this.#words, decisionText(worstPressure(this.#data), sampling, newest("agent_retry_ratio"), newest("agent_interval_factor")));
    const lines = this.#data.models.get("agent_pressure_input_ratio")?.lines ?? [];
    const known = lines.filter((line) => line.last !== undefined && line.labels.input).sort((one, other) => compareNames(one.labels.input, other.labels.input));
    for (const line of known) this.#row(line.labels.input).show(line.last);
    arrange(this.#meters, known.map((line) => this.#row(line.labels.input).root));
    return sampling;
  }

  #row(input) {
    if (!this.#rowByInput.has(input)) this.#rowByInput.set(input, new PressureRow(input));
    return this.#rowByInput.get(input);
  }
}

class PressureRow {
  #text = h("span", { class: "pressure-value" });
  #meter = h("meter", { min: "0", max: "1", low: String(WORRYING), high: String(PRESSED), optimum: "0" });

  constructor(input) {
    const words = WORDS[input] ?? input;
    this.#meter.setAttribute("aria-label", `Pressure of ${words}`);
    this.root = h("div", { class: "pressure-row", dataset: { input } }, h("span", {}, words), this.#meter, this.#text);
  }

  show(ratio) {
    setText(this.#text, share(ratio));
    this.#meter.value = ratio;
    setData(this.root, "mood", ratio >= PRESSED ? "bad" : ratio >= WORRYING ? "warn" : "");
  }
}

/**
 * What the control loop decided, as a sentence.
 * @param {{input: string, ratio: number}|null} worst
 * @param {number} sampling @param {number} retries @param {number} interval By how much intervals are stretched.
 */
export function decisionText(worst, sampling, retries, interval) {
  if (sampling === undefined) return "";
  const calm = sampling >= 0.995 && !(retries < 0.995) && !(interval > 1.005);
  const why = worst ? `${WORDS[worst.input] ?? worst.input} at ${share(worst.ratio)}` : "nothing known";
  if (calm) return `Calm: every point is taken in. Highest pressure: ${why}.`;
  const parts = [`${value(sampling, "ratio")} of ordinary points are taken in`];
  if (retries < 0.995) parts.push(`${value(retries, "ratio")} of retries are allowed`);
  if (interval > 1.005) parts.push(`intervals are ${figures(interval)} times as long`);
  return `${parts.join(", ")}. Highest pressure: ${why}.`;
}

/** A pressure to a tenth of a percent; less is noise. */
function share(ratio) {
  return value(Math.round(ratio * 1000) / 1000, "ratio");
}
