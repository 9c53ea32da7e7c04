/** What the agent does about trouble, as lanes under the breakers: fill, spool, sampling, retries, drops. */

import { Lane } from "./lane.js";
import { gapLimit_s, perSecond } from "./columns.js";
import { count, value } from "./format.js";
import { compareNames } from "./naming.js";

const DROPPED = "agent_dropped_points_total";
/** Points that a lane's full height stands for at least, so that the passing of a tick looks small. */
const LEAST_PEAK = 2000;

/**
 * The worst pressure of this moment.
 * @param {import("./host_data.js").HostData} data
 * @returns {{input: string, ratio: number}|null} null when none is known
 */
export function worstPressure(data) {
  const lines = data.models.get("agent_pressure_input_ratio")?.lines.filter((line) => line.last !== undefined) ?? [];
  const worst = lines.reduce((most, line) => (most === null || line.last > most.last ? line : most), null);
  return worst && { input: worst.labels.input ?? worst.series, ratio: worst.last };
}

/** Points of one line, without the times at which it has none. */
function pointsOf(model, line) {
  return valuesAt(model.times, line.values);
}

function valuesAt(times, values) {
  const points = [];
  times.forEach((time_s, at) => {
    if (values[at] !== undefined && values[at] !== null) points.push({ time_s, value: values[at] });
  });
  return points;
}

const heldBack = (points) => points.map(({ time_s, value: share }) => ({ time_s, value: 1 - share }));

export class Lanes {
  #laneByKey = new Map();
  #data;

  /** @param {import("./host_data.js").HostData} data */
  constructor(data) {
    this.#data = data;
  }

  /** Draw all lanes. @param {[number, number]} range_s @returns {Element[]} Their rows, in order. */
  draw(range_s) {
    const courses = [...this.#fills(), ...this.#shares(), ...this.#drops()];
    return courses.map(({ key, kind, name, times, ...course }) => {
      if (!this.#laneByKey.has(key)) this.#laneByKey.set(key, new Lane(kind, name));
      const lane = this.#laneByKey.get(key);
      lane.show(course, range_s, Math.max(3, gapLimit_s(times)));
      return lane.root;
    });
  }

  /** What waits in memory and on disk: its course in points, how full that is in words. */
  #fills() {
    const kinds = [["buffer", "agent_buffer_fill_ratio", "agent_buffer_points"], ["spool", "agent_spool_fill_ratio", "agent_spooled_points"]];
    return kinds.flatMap(([kind, fill, waiting]) => {
      const lines = [...(this.#data.models.get(fill)?.lines ?? [])].sort((one, other) => compareNames(one.series, other.series));
      return lines.map((line) => this.#fill(kind, line, waiting));
    });
  }

  #fill(kind, line, waiting) {
    const model = this.#data.models.get(waiting);
    const course = model?.lines.find((one) => one.labels.sink === line.labels.sink);
    const points = course ? pointsOf(model, course) : [];
    const peak = Math.max(0, ...points.map((point) => point.value));
    const mood = line.last >= 0.8 ? "bad" : line.last >= 0.5 ? "warn" : "";
    const text = `${value(line.last, "ratio")} full`;
    return { key: line.series, kind, name: line.labels.sink ?? line.series, text, note: `peak ${count(peak)}`, mood, points, times: model?.times ?? [], top: Math.max(peak, LEAST_PEAK) };
  }

  /** What is held back: nothing is drawn while everything is taken in and every retry is allowed. */
  #shares() {
    const worst = worstPressure(this.#data);
    const why = worst ? `${worst.input} ${value(worst.ratio, "ratio")}` : "";
    const shares = [["sampling", "agent_sampling_ratio", "keeps"], ["retries", "agent_retry_ratio", "allows"]];
    return shares.flatMap(([name, series, verb]) => {
      const model = this.#data.models.get(series);
      const line = model?.lines[0];
      if (!line) return [];
      const isCut = line.last < 0.995;
      const text = `${verb} ${value(line.last, "ratio")}`;
      return { key: series, kind: "", name, text, note: isCut ? why : "", mood: isCut ? "warn" : "", points: heldBack(pointsOf(model, line)), times: model.times, top: 1 };
    });
  }

  #drops() {
    const model = this.#data.models.get(DROPPED);
    if (!model?.lines.length) return [];
    const sums = model.times.map(() => undefined);
    for (const line of model.lines) {
      perSecond(model.times, line.values).forEach((rate, at) => {
        if (rate !== undefined) sums[at] = (sums[at] ?? 0) + rate;
      });
    }
    const inWindow = model.lines.reduce((sum, line) => sum + model.growth(line), 0);
    const points = valuesAt(model.times, sums);
    const top = Math.max(1, ...points.map((point) => point.value));
    return [{ key: DROPPED, kind: "", name: "drops", text: count(inWindow), note: "in the window", mood: inWindow ? "warn" : "", points, times: model.times, top }];
  }
}
