/** Questions to the hub over HTTP, and what its clock says. */

/** The hub answered, but not with what was asked for. */
export class HubError extends Error {
  /** @param {number} status HTTP status. @param {string} text */
  constructor(status, text) {
    super(`HTTP ${status}: ${text}`);
    this.status = status;
  }
}

export class Api {
  #token;
  #low_s = -Infinity;
  #high_s = Infinity;

  /** @param {Location} location Where the page came from; its `?token=` is the read token. */
  constructor(location) {
    this.#token = new URLSearchParams(location.search).get("token") ?? "";
  }

  /** Address of the live socket, the token in it when there is one. @returns {string} */
  get liveAddress() {
    const url = new URL("api/v1/live", document.baseURI);
    url.protocol = url.protocol === "https:" ? "wss:" : "ws:";
    url.search = this.#token ? `?token=${encodeURIComponent(this.#token)}` : "";
    url.hash = "";
    return url.href;
  }

  /** Unix seconds on the hub's clock, as far as its answers told it (to within a second). */
  now_s() {
    return Date.now() / 1000 + this.#offset_s();
  }

  /**
   * @param {string} name Part after /api/v1/.
   * @param {Object<string, string|number>} [params]
   * @param {number} [limit_s] Seconds until the question is given up.
   * @returns {Promise<any>}
   * @throws {HubError} The hub refused. TypeError or AbortError when it cannot be reached in time.
   */
  async get(name, params = {}, limit_s = 15) {
    const url = new URL(`api/v1/${name}`, document.baseURI);
    for (const [key, value] of Object.entries(params)) url.searchParams.set(key, String(value));
    const answer = await fetch(url, {
      headers: this.#token ? { Authorization: `Bearer ${this.#token}` } : {},
      signal: AbortSignal.timeout(limit_s * 1000),
      cache: "no-store",
    });
    this.#learnClock(answer.headers.get("Date"));
    if (!answer.ok) throw new HubError(answer.status, (await answer.text()).slice(0, 200));
    return answer.json();
  }

  /** Each `Date` header is cut to whole seconds, so it bounds the offset from both sides; the bounds narrow over time. */
  #learnClock(header) {
    const said_s = Date.parse(header ?? "") / 1000;
    if (!Number.isFinite(said_s)) return;
    const low_s = said_s - Date.now() / 1000;
    this.#low_s = Math.max(this.#low_s, low_s);
    this.#high_s = Math.min(this.#high_s, low_s + 1);
    if (this.#low_s > this.#high_s) [this.#low_s, this.#high_s] = [low_s, low_s + 1];
  }

  /** 0 when this clock may be the hub's own: most clocks agree, and the header is coarse. */
  #offset_s() {
    if (!Number.isFinite(this.#low_s) || (this.#low_s <= 0.5 && this.#high_s >= -0.5)) return 0;
    return (this.#low_s + this.#high_s) / 2;
  }
}
