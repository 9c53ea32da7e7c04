/** One lane of the timeline: what it is, its newest value in words, and its course over the window as an area. */

import { h, setData, setText, svg } from "./dom.js";

const WIDTH = 1000;
const HEIGHT = 14;

/**
 * The area under a course, as an SVG path; silence longer than `gap_s` leaves a hole.
 * @param {{time_s: number, value: number}[]} points Rising in time.
 * @param {[number, number]} range_s Unix seconds of the window.
 * @param {number} top Value of the full height, > 0.
 * @param {number} gap_s
 * @returns {string}
 */
export function areaPath(points, [from_s, to_s], top, gap_s) {
  const x = (time_s) => round(Math.min(WIDTH, Math.max(0, ((time_s - from_s) / (to_s - from_s)) * WIDTH)));
  const y = (value) => round(HEIGHT - Math.min(1, Math.max(0, value / top)) * HEIGHT);
  return runs(points.filter((point) => point.time_s >= from_s - gap_s), gap_s)
    .map((run) => {
      const edge = run.map(({ time_s, value }) => `L${x(time_s)} ${y(value)}`).join("");
      return `M${x(run[0].time_s)} ${HEIGHT}${edge}L${x(run.at(-1).time_s)} ${HEIGHT}Z`;
    })
    .join("");
}

function runs(points, gap_s) {
  const out = [];
  for (const point of points) {
    const last = out.at(-1);
    if (last && point.time_s - last.at(-1).time_s <= gap_s) last.push(point);
    else out.push([point]);
  }
  return out;
}

const round = (number) => Math.round(number * 10) / 10;

export class Lane {
  #value = h("span", { class: "lane-value" });
  #note = h("span", { class: "since" });
  #path = svg("path", {});
  #strip = svg("svg", { viewBox: `0 0 ${WIDTH} ${HEIGHT}`, preserveAspectRatio: "none", role: "img" }, this.#path);

  /** @param {string} kind Small word before the name. @param {string} name */
  constructor(kind, name) {
    const title = h("span", { class: "breaker-name", title: `${kind} ${name}`.trim() }, kind ? h("small", {}, `${kind} `) : null, name);
    const dataset = { testid: "lane", lane: `${kind} ${name}`.trim() };
    this.root = h("div", { class: "breaker lane", dataset }, title, this.#value, this.#note, this.#strip);
  }

  /**
   * @param {{text: string, note?: string, mood: ""|"good"|"warn"|"bad", points: {time_s: number, value: number}[], top: number}} course
   * @param {[number, number]} range_s @param {number} gap_s
   */
  show({ text, note = "", mood, points, top }, range_s, gap_s) {
    setText(this.#value, text);
    setText(this.#note, note);
    this.#note.title = note;
    setData(this.root, "mood", mood);
    this.#path.setAttribute("d", areaPath(points, range_s, top, gap_s));
    this.#strip.setAttribute("aria-label", `${this.root.dataset.lane}: ${text} ${note}`.trim());
  }
}
