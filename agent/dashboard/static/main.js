/** The page: joins hub, store and views, and follows the address. */

import { Api } from "./api.js";
import { Banner } from "./banner.js";
import { FleetView } from "./fleet_view.js";
import { HostView } from "./host_view.js";
import { Live } from "./live.js";
import { parseRoute } from "./route.js";
import { Store } from "./store.js";

const DEFAULT_WINDOW_S = 300;
const PAST_EVENTS_S = 3600;
const PAST_EVENTS = 1000;

const api = new Api(location);
const store = new Store(() => api.now_s());
const live = new Live(api);
const fleetBox = document.getElementById("fleet");
const hostBox = document.getElementById("host");
const fleet = new FleetView(store, () => api.now_s());
/** @type {HostView|null} */ let host = null;
let fleetScroll_px = 0;

fleetBox.append(fleet.root);
new Banner(live, document.getElementById("phase"), document.getElementById("banner"));
live.addEventListener("message", ({ detail }) => take(detail));
live.addEventListener("phase", () => {
  if (host) host.isConnected = live.phase === "live";
  if (live.phase === "live") caughtUp();
});
addEventListener("hashchange", go);
addEventListener("keydown", (event) => {
  const isTyping = event.target instanceof Element && event.target.matches("input, select, textarea");
  if (event.key === "/" && !isTyping && !fleetBox.hidden) {
    event.preventDefault();
    fleet.focusSearch();
  }
});

go();
live.start();

function take(message) {
  if (message.type === "agents") store.setAgents(message.agents);
  else if (message.type === "tick" && message.agent === host?.name) host.addTick(message);
  else if (message.type === "event") takeEvent(message);
}

function takeEvent(event) {
  store.noteEvent(event);
  if (event.agent === host?.name) host.addEvent(event);
}

/** After each connect: what happened in between is asked for. */
async function caughtUp() {
  host?.reload();
  try {
    const { events } = await api.get("events", { from: -PAST_EVENTS_S, limit: PAST_EVENTS });
    events.forEach((event) => store.noteEvent(event));
  } catch {
    // The fleet is shown without what events would add; the socket goes on telling new ones.
  }
}

function go() {
  const route = parseRoute(location.hash);
  const scroll_px = scrollY;
  if (!fleetBox.hidden) fleetScroll_px = scroll_px;
  const isSameHost = host !== null && host.name === route.host;
  host?.close();
  host = route.host ? new HostView(api, store, route.host, route.window_s ?? DEFAULT_WINDOW_S) : null;
  if (host) host.isConnected = live.phase === "live";
  hostBox.replaceChildren(...(host ? [host.root] : []));
  fleetBox.hidden = host !== null;
  hostBox.hidden = host === null;
  document.title = host ? `${host.name} · Rebellion` : "Rebellion";
  live.subscribe(host?.name ?? null);
  if (!host) fleet.shown();
  else if (live.phase === "live") host.reload();
  scrollTo({ top: host ? 0 : fleetScroll_px, behavior: "instant" });
  (host ?? fleet).focus(isSameHost);
}
