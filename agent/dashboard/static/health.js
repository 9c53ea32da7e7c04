/** How well an agent is, from what the hub says of it. Pure. */

/** Worst first: the order of the fleet. */
export const HEALTHS = ["offline", "silent", "degraded", "healthy"];

/** Words on the page. */
export const HEALTH_WORDS = { offline: "Offline", silent: "Silent", degraded: "Degraded", healthy: "Healthy" };

/** A connected agent from which nothing came for this long is silent. */
const SILENT_S = 15;
/** A host whose own score, 0 (bad) to 100, is below this is degraded: where its events leave the word `good`. */
const DEGRADED_SCORE = 80;

/**
 * @param {{connected: boolean, last_seen_s: number, health_score?: number|null}} agent
 * @param {number} now_s Unix seconds on the hub's clock.
 * @param {number} openBreakers How many of its breakers do not let everything through.
 * @returns {"offline"|"silent"|"degraded"|"healthy"}
 */
export function healthOf(agent, now_s, openBreakers) {
  if (!agent.connected) return "offline";
  if (now_s - agent.last_seen_s > SILENT_S) return "silent";
  return openBreakers > 0 || scoreOf(agent) < DEGRADED_SCORE ? "degraded" : "healthy";
}

/** The host's own score; 100 where it gives none. @param {{health_score?: number|null}} agent */
export function scoreOf(agent) {
  return agent.health_score ?? 100;
}
