/** What this process knows of each instance: how much is under way there, and whether it has been failing. */

/** When a circuit opens, and for how long. */
export interface HealthOptions {
  /** Failures in a row that open the circuit. Default 3. */
  readonly failures?: number;
  /** How long the circuit stays open the first time, ms; doubles with each failed probe. Default 1 000. */
  readonly openMs?: number;
  /** Longest time a circuit stays open, ms. Default 30 000. */
  readonly maxOpenMs?: number;
  /** Monotonic clock, ms. */
  readonly now: () => number;
}

/** Instances go by their keys. */
export interface Health {
  loadOf(key: string): number;
  /** False while the circuit is open, or half-open with its probe under way. */
  isWell(key: string): boolean;
  /** True while the circuit is closed: asking it is no probe. */
  isProven(key: string): boolean;
  /** It has said its first word of an attempt. @returns true if that closed the circuit: whoever answers is well, however long the answer takes. */
  answered(key: string): boolean;
  /** Its connection was lost, with or without something under way. */
  lost(key: string): void;
  /** It answers nothing and lives, or (false) it has been heard again: meanwhile it is not well, and asking it would be no probe. */
  stalled(key: string, isStalled: boolean): void;
  /** An attempt begins. The first one after an open circuit is its probe. */
  begin(key: string): void;
  /** An attempt is over. @returns what changed, for the log. */
  end(key: string, verdict: Verdict): "opened" | "closed" | undefined;
}

/** How an attempt speaks of its instance; one that the caller ended says nothing. */
export type Verdict = "well" | "failed" | "unreachable" | "unknown";

/** What is known of an instance that nobody has asked for so long is forgotten, ms. */
const forgetMs = 600_000;

type Circuit =
  | { readonly type: "closed"; readonly failures: number }
  | { readonly type: "open"; readonly until: number; readonly openMs: number }
  | { readonly type: "half-open"; readonly openMs: number };

interface State {
  load: number;
  /** Reading of the clock at the end of the last attempt. */
  endedAt: number;
  circuit: Circuit;
}

type Limits = Required<Omit<HealthOptions, "now">>;

function afterFailure(
  circuit: Circuit,
  { failures, openMs, maxOpenMs }: Limits,
  isUnreachable: boolean,
  at: number,
): Circuit {
  switch (circuit.type) {
    case "closed": // one that cannot be reached is out at once: the next request would find the same
      if (!isUnreachable && circuit.failures + 1 < failures) return { type: "closed", failures: circuit.failures + 1 };
      return { type: "open", until: at + openMs, openMs };
    case "half-open": {
      // Who cannot be reached is well again at once when it returns, and a probe that does not reach it costs it nothing.
      const longerMs = isUnreachable ? openMs : Math.min(2 * circuit.openMs, maxOpenMs);
      return { type: "open", until: at + longerMs, openMs: longerMs };
    }
    case "open": // an attempt that was under way when it opened, or nobody else was left
      return circuit;
  }
}

function afterAttempt(circuit: Circuit, verdict: Verdict, limits: Limits, at: number): Circuit {
  if (verdict === "failed" || verdict === "unreachable")
    return afterFailure(circuit, limits, verdict === "unreachable", at);
  if (verdict === "well") return { type: "closed", failures: 0 };
  // A probe that was cut short: the next request is one.
  return circuit.type === "half-open" ? { type: "open", until: at, openMs: circuit.openMs } : circuit;
}

/** Create an empty record. */
export function createHealth({ failures = 3, openMs = 1_000, maxOpenMs = 30_000, now }: HealthOptions): Health {
  const limits: Limits = { failures, openMs, maxOpenMs };
  const states = new Map<string, State>();
  const stalled = new Set<string>();
  const stateOf = (key: string): State => {
    const known = states.get(key);
    if (known) return known;
    const state: State = { load: 0, endedAt: now(), circuit: { type: "closed", failures: 0 } };
    states.set(key, state);
    return state;
  };
  const forget = (at: number): void => {
    for (const [key, { load, endedAt }] of states) if (load === 0 && endedAt + forgetMs < at) states.delete(key);
  };
  return {
    loadOf: (key) => states.get(key)?.load ?? 0,
    isWell(key) {
      if (stalled.has(key)) return false;
      const circuit = states.get(key)?.circuit;
      if (!circuit || circuit.type === "closed") return true;
      return circuit.type === "open" && now() >= circuit.until;
    },
    isProven(key) {
      const circuit = states.get(key)?.circuit;
      return !stalled.has(key) && (!circuit || circuit.type === "closed");
    },
    stalled: (key, isStalled) => void (isStalled ? stalled.add(key) : stalled.delete(key)),
    answered(key) {
      const state = states.get(key);
      if (state?.circuit.type !== "half-open") return false;
      state.circuit = { type: "closed", failures: 0 };
      return true;
    },
    lost(key) {
      const state = stateOf(key);
      state.endedAt = now();
      state.circuit = afterFailure(state.circuit, limits, true, state.endedAt);
      forget(state.endedAt);
    },
    begin(key) {
      const state = stateOf(key);
      state.load += 1;
      const { circuit } = state;
      if (circuit.type === "open" && now() >= circuit.until)
        state.circuit = { type: "half-open", openMs: circuit.openMs };
    },
    end(key, verdict) {
      const state = stateOf(key);
      state.load -= 1;
      state.endedAt = now();
      const before = state.circuit;
      const after = afterAttempt(before, verdict, limits, state.endedAt);
      state.circuit = after;
      if (after.type === "closed" && after.failures === 0 && state.load === 0) states.delete(key); // nothing to remember
      if (verdict !== "well") forget(state.endedAt); // only what fails is remembered, so only then there is more of it
      if (after.type === "open" && before.type !== "open" && verdict !== "unknown") return "opened";
      return after.type === "closed" && before.type !== "closed" ? "closed" : undefined;
    },
  };
}
