/** The page: joins hub, store and views, and follows the address. */

import { Api } from "./api.js";
import { Banner } from "./banner.js";
import { EventsView } from "./events_view.js";
import { FleetView } from "./fleet_view.js";
import { HostView } from "./host_view.js";
import { Keys } from "./keys.js";
import { Live } from "./live.js";
import { hostRoute, parseRoute } from "./route.js";
import { Store } from "./store.js";
import { nextTheme, showThemeOn } from "./theme_button.js";

const DEFAULT_WINDOW_S = 300;
const PAST_EVENTS_S = 3600;
const PAST_EVENTS = 1000;

const api = new Api(location);
const store = new Store(() => api.now_s());
const live = new Live(api);
const boxes = Object.fromEntries(["fleet", "events", "host"].map((place) => [place, document.getElementById(place)]));
const fleet = new FleetView(store, () => api.now_s());
const events = new EventsView(store);
/** @type {HostView|null} */ let host = null;
let place = "fleet";
let fleetScroll_px = 0;

boxes.fleet.append(fleet.root);
boxes.events.append(events.root);
new Banner(live, document.getElementById("phase"), document.getElementById("banner"));
showThemeOn(document.getElementById("theme"));
document.getElementById("keys").addEventListener("click", () => keys.toggle());
live.addEventListener("message", ({ detail }) => take(detail));
live.addEventListener("phase", () => {
  if (host) host.isConnected = live.phase === "live";
  if (live.phase === "live") caughtUp();
});
addEventListener("hashchange", go);
const keys = new Keys([
  { key: "/", words: "search what is shown", run: () => (host ?? (place === "events" ? events : fleet)).focusSearch() },
  { key: "h", words: "all hosts", run: () => goTo("#/") },
  { key: "e", words: "events of all hosts", run: () => goTo("#/events") },
  { key: "[", words: "on a host: a shorter stretch of time", run: () => host?.stepWindow(-1) },
  { key: "]", words: "on a host: a longer stretch of time", run: () => host?.stepWindow(1) },
  { key: "t", words: "colours: as the system, light, dark", run: nextTheme },
  { key: "f", words: "on a host: forecasts on or off", run: () => host?.toggleForecasts() },
]);

go();
live.start();

function take(message) {
  if (message.type === "agents") takeAgents(message);
  else if (message.type === "tick" && message.agent === host?.name) host.addTick(message);
  else if (message.type === "event") takeEvent(message);
}

/** An agent's own port knows one host, so that is what it shows. */
function takeAgents(message) {
  store.setAgents(message);
  document.documentElement.dataset.source = store.isAgent ? "agent" : "hub";
  const [only] = store.agents.keys();
  if (store.isAgent && place === "fleet") location.replace(hostRoute(only));
}

function goTo(hash) {
  location.hash = hash;
}

function takeEvent(event) {
  store.noteEvent(event);
  if (event.agent === host?.name) host.addEvent(event);
}

/** After each connect: what happened in between is asked for. */
async function caughtUp() {
  host?.reload();
  try {
    const past = await api.get("events", { from: -PAST_EVENTS_S, limit: PAST_EVENTS });
    store.setPast(past.events);
  } catch {
    // The fleet is shown without what events would add; the socket goes on telling new ones.
  }
}

function go() {
  const route = parseRoute(location.hash);
  if (place === "fleet") fleetScroll_px = scrollY;
  const isSameHost = host !== null && host.name === route.host;
  host?.close();
  host = route.host ? new HostView(api, store, route.host, route.window_s ?? DEFAULT_WINDOW_S) : null;
  if (host) host.isConnected = live.phase === "live";
  boxes.host.replaceChildren(...(host ? [host.root] : []));
  show(route);
  live.subscribe(host?.name ?? null);
  if (host && live.phase === "live") host.reload();
  scrollTo({ top: place === "fleet" ? fleetScroll_px : 0, behavior: "instant" });
  ({ fleet, events, host })[place].focus(isSameHost);
}

function show(route) {
  place = route.place;
  for (const [name, box] of Object.entries(boxes)) box.hidden = name !== place;
  for (const link of document.querySelectorAll(".top nav a")) {
    if (link.dataset.place === place) link.setAttribute("aria-current", "page");
    else link.removeAttribute("aria-current");
  }
  document.title = `${host ? host.name : place === "events" ? "Events" : "Hosts"} · Rebellion`;
  if (place === "fleet") fleet.shown();
  if (place === "events") events.shown();
}
