/** What /live and /health say of a process. */
import type { Condition } from "../condition.ts";
import { version } from "../version.ts";
import type { CheckStates } from "./checks.ts";
import type { Readiness, Stage } from "./readiness.ts";

/** What its probes read. */
export interface Status {
  readonly live: unknown;
  readonly isReady: boolean;
  readonly health: unknown;
}

/** One runtime, as the system server sees it. */
export interface Member {
  /** How its discovery is. */
  readonly condition: Condition;
  /** What its health checks say. */
  readonly checks: CheckStates;
}

export interface StatusSources {
  readonly readiness: Readiness;
  readonly members: ReadonlySet<() => Member>;
}

/** Where a process stands: `unhealthy` = it would be serving, but a health check fails. */
export type ProcessStage = Stage | "unhealthy";

/** That of its endpoints, and once they serve that of its checks: while one of them has not said anything yet it is still starting. */
export function stageOf({ readiness, members }: StatusSources): ProcessStage {
  const { stage } = readiness;
  if (stage !== "serving") return stage;
  const checks = [...members].flatMap((member) => Object.values(member().checks));
  const states = new Set(checks.map(({ state }) => state));
  if (states.has("failing")) return "unhealthy";
  return states.has("pending") ? "starting" : "serving";
}

/** A process is as ready as its worst endpoint and check, and its discovery as well as its worst. Without `hasDetails` only that is said. */
export function createStatus(sources: StatusSources, uptimeMs: () => number): (hasDetails: boolean) => Status {
  const { readiness, members } = sources;
  return (hasDetails) => {
    const stage = stageOf(sources);
    const isReady = stage === "serving";
    const status = isReady ? "ready" : "notready";
    if (!hasDetails) return { isReady, live: { status: "live" }, health: { status, stage } };
    const elapsedMs = uptimeMs();
    const uptime = { secs: Math.floor(elapsedMs / 1000), nanos: Math.floor((elapsedMs % 1000) * 1e6) };
    const endpoints = Object.fromEntries(
      [...readiness.endpoints()].map(([name, its]) => [name, its === "serving" ? "ready" : "notready"]),
    );
    const shown = [...members].map((member) => member());
    const conditions = shown.map(({ condition }) => condition);
    const discovery = conditions.find(({ state }) => state === "degraded") ?? conditions[0];
    const checks = uniteChecks(shown.map((member) => member.checks));
    return {
      isReady,
      live: { status: "live", uptime, discovery },
      health: { status, stage, version, uptime, endpoints, checks, discovery },
    };
  };
}

const order: readonly CheckStates[string]["state"][] = ["passing", "pending", "failing"];

/** Of several with one name the worst is shown. */
function uniteChecks(all: readonly CheckStates[]): CheckStates {
  const entries = all.flatMap((states) => Object.entries(states));
  return Object.fromEntries(
    entries.toSorted(([, left], [, right]) => order.indexOf(left.state) - order.indexOf(right.state)),
  );
}
