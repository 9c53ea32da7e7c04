/** The live socket: connects, notices when the hub is gone, and comes back by itself. */

import { HubError } from "./api.js";

const SUBPROTOCOL = "rebellion.live.v1";
const FIRST_WAIT_S = 1;
const MAX_WAIT_S = 15;
const SILENCE_S = 8;
const OPENING_S = 8;

/**
 * Seconds to wait before a new attempt: doubled each time, capped, then spread so that a hub's readers do not return at once.
 * @param {number} failures Failed attempts in a row, >= 1.
 * @param {() => number} random In [0, 1).
 */
export function wait_s(failures, random) {
  const ceiling_s = Math.min(MAX_WAIT_S, FIRST_WAIT_S * 2 ** Math.min(failures - 1, 10));
  return ceiling_s * (0.3 + 0.7 * random());
}

/**
 * @typedef {"connecting"|"live"|"waiting"|"refused"} Phase waiting: gone, a new attempt comes at `retryAt_ms`; refused: the hub wants a token.
 */
export class Live extends EventTarget {
  /** @type {Phase} */ phase = "connecting";
  /** `performance.now()` of the next attempt, while waiting. */ retryAt_ms = 0;
  #api;
  #random;
  #socket = null;
  #agent = null;
  #failures = 0;
  #timer = 0;
  #heardAt_ms = 0;
  #isProbing = false;

  /**
   * Dispatches `phase` on each change, `message` (detail: the hub's message) for each message.
   * @param {import("./api.js").Api} api
   * @param {() => number} [random]
   */
  constructor(api, random = Math.random) {
    super();
    this.#api = api;
    this.#random = random;
  }

  start() {
    addEventListener("online", () => this.retryNow());
    addEventListener("pagehide", () => this.#socket?.close());
    setInterval(() => this.#watch(), 1000);
    this.#connect();
  }

  /** Ask for the ticks of one agent; null for none. Holds over reconnects. @param {string|null} agent */
  subscribe(agent) {
    const before = this.#agent;
    this.#agent = agent;
    if (before !== null) this.#send("unsubscribe", before);
    if (agent !== null) this.#send("subscribe", agent);
  }

  /** Try at once instead of waiting. */
  retryNow() {
    if (this.phase === "waiting" || this.phase === "refused") this.#connect();
  }

  #send(type, agent) {
    if (this.phase === "live") this.#socket.send(JSON.stringify({ type, agent }));
  }

  /** A question first: its answer tells a closed door (401) from an absent house, and sets the hub's clock. */
  async #connect() {
    clearTimeout(this.#timer);
    this.#enter("connecting");
    try {
      this.#tell({ type: "agents", ...(await this.#api.get("agents", {}, OPENING_S)) });
      this.#open();
    } catch (error) {
      this.#failed(error);
    }
  }

  #open() {
    const socket = new WebSocket(this.#api.liveAddress, SUBPROTOCOL);
    this.#socket = socket;
    this.#heardAt_ms = performance.now();
    socket.onopen = () => {
      if (socket !== this.#socket) return;
      this.#failures = 0;
      this.#enter("live");
      if (this.#agent !== null) this.#send("subscribe", this.#agent);
    };
    socket.onmessage = (event) => {
      if (socket !== this.#socket) return;
      this.#heardAt_ms = performance.now();
      this.#tell(JSON.parse(event.data));
    };
    socket.onclose = () => {
      if (socket === this.#socket) this.#failed(null);
    };
  }

  #failed(error) {
    const socket = this.#socket;
    this.#socket = null;
    socket?.close();
    this.#failures += 1;
    const delay_ms = wait_s(this.#failures, this.#random) * 1000;
    this.retryAt_ms = performance.now() + delay_ms;
    this.#timer = setTimeout(() => this.#connect(), delay_ms);
    const isRefused = error instanceof HubError && (error.status === 401 || error.status === 403);
    this.#enter(isRefused ? "refused" : "waiting");
  }

  /** A stopped hub closes nothing: after silence, ask it something; no answer means it is gone. */
  async #watch() {
    const silence_s = (performance.now() - this.#heardAt_ms) / 1000;
    const isSuspect = this.#socket !== null && silence_s > SILENCE_S;
    if (!isSuspect || this.#isProbing) return;
    const socket = this.#socket;
    this.#isProbing = true;
    try {
      this.#tell({ type: "agents", ...(await this.#api.get("agents", {}, 4)) });
      if (socket.readyState === WebSocket.OPEN) this.#heardAt_ms = performance.now();
      else throw new Error("the socket did not open");
    } catch (error) {
      if (socket === this.#socket) this.#failed(error);
    } finally {
      this.#isProbing = false;
    }
  }

  #enter(phase) {
    this.phase = phase;
    this.dispatchEvent(new Event("phase"));
  }

  #tell(message) {
    this.dispatchEvent(new CustomEvent("message", { detail: message }));
  }
}
