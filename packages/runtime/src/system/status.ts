/** What /live and /health say of a process. */
import type { Condition } from "../condition.ts";
import type { Readiness } from "./readiness.ts";

/** What its probes read. */
export interface Status {
  readonly live: unknown;
  readonly isReady: boolean;
  readonly health: unknown;
}

export interface StatusSources {
  readonly readiness: Readiness;
  /** Of the members. */
  readonly discoveries: ReadonlySet<() => Condition>;
}

/** A process is as ready as its worst endpoint, and its discovery as well as its worst. Without `hasDetails` only that is said. */
export function createStatus(
  { readiness, discoveries }: StatusSources,
  uptimeMs: () => number,
): (hasDetails: boolean) => Status {
  return (hasDetails) => {
    const { stage } = readiness;
    const isReady = stage === "serving";
    const status = isReady ? "ready" : "notready";
    if (!hasDetails) return { isReady, live: { status: "live" }, health: { status, stage } };
    const elapsedMs = uptimeMs();
    const uptime = { secs: Math.floor(elapsedMs / 1000), nanos: Math.floor((elapsedMs % 1000) * 1e6) };
    const endpoints = Object.fromEntries(
      [...readiness.endpoints()].map(([name, its]) => [name, its === "serving" ? "ready" : "notready"]),
    );
    const conditions = [...discoveries].map((discovery) => discovery());
    const discovery = conditions.find(({ state }) => state === "degraded") ?? conditions[0];
    return {
      isReady,
      live: { status: "live", uptime, discovery },
      health: { status, stage, uptime, endpoints, discovery },
    };
  };
}
