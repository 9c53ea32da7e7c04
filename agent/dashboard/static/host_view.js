/** The page of one host: head, resilience, events, charts; redrawn once a tick, or once a second when none comes. */

import { BreakerPanel } from "./breaker_panel.js";
import { Forecasts } from "./chart_forecast.js";
import { ChartGrid } from "./chart_grid.js";
import { h, setText } from "./dom.js";
import { EventsPanel } from "./events_panel.js";
import { FlowPanel } from "./flow_panel.js";
import { HostData } from "./host_data.js";
import { HostHeader, WINDOWS_S } from "./host_header.js";
import { PressurePanel } from "./pressure_panel.js";
import { hostRoute } from "./route.js";
import { Summary, figuresOf } from "./summary.js";

const REDRAW_MS = 1000;

export class HostView {
  /** Whether the hub can be heard at all; silence is the agent's only then. */ isConnected = false;
  #store;
  #data;
  #header;
  #summary = new Summary();
  #breakers;
  #flow;
  #pressure;
  #events;
  #charts;
  #forecasts;
  #search = h("input", { type: "search", placeholder: "Search series", "aria-label": "Search series", oninput: () => this.#charts.filter(this.#search.value) });
  #ahead = h("button", { type: "button", class: "toggle", "aria-pressed": "true", hidden: true, onclick: () => this.toggleForecasts() }, "Forecast");
  #note = h("p", { class: "empty", role: "status", dataset: { testid: "host-note" } }, "Asking the hub …");
  #frame = 0;
  #drawnAt_ms = 0;
  #timer;
  #isAskedFor = false;

  /**
   * @param {import("./api.js").Api} api
   * @param {import("./store.js").Store} store
   * @param {string} name
   * @param {number} window_s
   */
  constructor(api, store, name, window_s) {
    this.#store = store;
    this.#data = new HostData(api, name, window_s);
    this.#header = new HostHeader(name, window_s);
    this.#breakers = new BreakerPanel(this.#data);
    this.#flow = new FlowPanel(this.#data);
    this.#pressure = new PressurePanel(this.#data);
    this.#events = new EventsPanel(this.#data);
    this.#forecasts = new Forecasts(api, name, () => store.can.has("forecast"));
    this.#charts = new ChartGrid(this.#data, this.#forecasts);
    this.root = h("div", { class: "host" }, this.#header.root, this.#resilience(), this.#note, this.#chartSection());
    for (const kind of ["points", "loaded", "series"]) this.#data.addEventListener(kind, () => this.#redrawSoon());
    this.#data.addEventListener("events", () => this.#events.draw());
    this.#timer = setInterval(() => this.#redrawWhenQuiet(), REDRAW_MS / 2);
    this.#events.draw();
    this.#draw();
  }

  get name() {
    return this.#data.agent;
  }

  /** @param {boolean} isSameHost True keeps the focus where another stretch of time was chosen. */
  focus(isSameHost) {
    (isSameHost ? this.#header.window : this.#header.title).focus({ preventScroll: true });
  }

  focusSearch() {
    this.#search.focus();
  }

  /** Show a longer (1) or shorter (-1) stretch of time. @param {1|-1} step */
  stepWindow(step) {
    const at = WINDOWS_S.findIndex(([seconds]) => seconds >= this.#data.window_s);
    const next = WINDOWS_S[at + step];
    if (next) location.hash = hostRoute(this.name, next[0]);
  }

  /** Show forecasts, or stop showing them. */
  toggleForecasts() {
    this.#forecasts.isWanted = !this.#forecasts.isWanted;
    this.#ahead.setAttribute("aria-pressed", String(this.#forecasts.isWanted));
    this.#redrawSoon();
  }

  /** Ask for everything (again): at the start and after an outage. */
  async reload() {
    this.#isAskedFor = this.#store.agents.has(this.name);
    if (!this.#isAskedFor) return this.#say("No host of this name has ever reported to this hub.");
    try {
      await this.#data.reload();
      this.#say(this.#data.models.size ? "" : "This host has sent no series yet.");
    } catch (error) {
      this.#say(`The hub gave no answer for this host (${error.message}).`);
    }
    this.#redrawSoon();
  }

  #say(text) {
    setText(this.#note, text);
    this.#note.hidden = !text;
  }

  /** @param {Object} tick */
  addTick(tick) {
    this.#data.addTick(tick);
  }

  /** @param {Object} event */
  addEvent(event) {
    this.#data.addEvent(event);
  }

  close() {
    clearInterval(this.#timer);
    cancelAnimationFrame(this.#frame);
    this.#data.close();
    this.#charts.close();
  }

  #resilience() {
    return h(
      "section",
      { class: "resilience", "aria-labelledby": "resilience-title" },
      h("h2", { id: "resilience-title" }, "Resilience"),
      this.#summary.root,
      this.#breakers.root,
      h("div", { class: "panels" }, h("div", { class: "side" }, this.#flow.root, this.#pressure.root), this.#events.root),
    );
  }

  #chartSection() {
    const head = h("div", { class: "head charts-head" }, h("h2", { id: "charts-title" }, "Charts"), this.#charts.jump, this.#ahead, this.#search);
    return h("section", { "aria-labelledby": "charts-title" }, head, this.#charts.root);
  }

  #redrawSoon() {
    if (!this.#frame) this.#frame = requestAnimationFrame(() => this.#draw());
  }

  #redrawWhenQuiet() {
    if (performance.now() - this.#drawnAt_ms >= REDRAW_MS) this.#redrawSoon();
  }

  #draw() {
    this.#frame = 0;
    this.#drawnAt_ms = performance.now();
    if (!this.#isAskedFor && this.#store.agents.has(this.name)) this.reload();
    this.#drawHeader();
    this.#summary.show(figuresOf(this.#data, this.#breakers.draw(), this.#flow.draw(), this.#pressure.draw()));
    this.#ahead.hidden = !this.#forecasts.canAsk();
    this.#charts.draw();
  }

  #drawHeader() {
    const agent = this.#store.agents.get(this.name);
    const sinceHub_s = agent?.last_time_s ? this.#data.now_s() - agent.last_time_s : NaN;
    const silence_s = this.#data.silence_s() ?? sinceHub_s;
    const isSilent = this.isConnected && this.#data.isKnown && !(silence_s <= this.#data.silentAfter_s());
    this.#header.show(agent, agent && this.#store.health(agent), silence_s, isSilent);
  }
}
