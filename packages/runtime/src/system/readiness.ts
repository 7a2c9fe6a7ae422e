/** Whether this process is ready: every endpoint that should serve is registered, and nothing drains. */

export type Stage = "starting" | "serving" | "draining";

/** One endpoint on its way from "should serve" to "gone". */
export interface EndpointReadiness {
  /** It is registered and takes requests. */
  serving(): void;
  /** It takes no more requests. */
  draining(): void;
  /** It is over and no longer counts. Idempotent. */
  gone(): void;
}

export interface Readiness {
  /** Of the process: ready means `serving`. Without any endpoint it is still starting. */
  readonly stage: Stage;
  /** By name; several instances of one name are as ready as the least of them. */
  endpoints(): ReadonlyMap<string, Stage>;
  /** An endpoint that should serve. */
  expect(name: string): EndpointReadiness;
  /** One of its runtimes drains: the process is not ready until that is over. */
  drain(): { over(): void };
}

const worseThan: Readonly<Record<Stage, readonly Stage[]>> = {
  serving: [],
  starting: ["serving"],
  draining: ["serving", "starting"],
};

function worstOf(left: Stage, right: Stage): Stage {
  return worseThan[left].includes(right) ? left : right;
}

/** `onChange` is called after each change. */
export function createReadiness(onChange: () => void = () => undefined): Readiness {
  const entries = new Set<{ readonly name: string; stage: Stage }>();
  const drains = new Set<object>();
  return {
    get stage() {
      if (drains.size > 0) return "draining";
      if (entries.size === 0) return "starting";
      return [...entries].map(({ stage }) => stage).reduce(worstOf);
    },
    endpoints() {
      const stages = new Map<string, Stage>();
      for (const { name, stage } of entries) stages.set(name, worstOf(stage, stages.get(name) ?? stage));
      return stages;
    },
    expect(name) {
      const entry: { readonly name: string; stage: Stage } = { name, stage: "starting" };
      entries.add(entry);
      const become = (stage: Stage): void => {
        entry.stage = stage;
        onChange();
      };
      return {
        serving: () => become("serving"),
        draining: () => become("draining"),
        gone() {
          entries.delete(entry);
          onChange();
        },
      };
    },
    drain() {
      const drain = { over: () => void drains.delete(drain) };
      drains.add(drain);
      return drain;
    },
  };
}
