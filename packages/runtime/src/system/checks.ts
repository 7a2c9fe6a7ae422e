/** Health checks of a program: each runs again and again, one run at a time, and what it said last is kept for those who ask. */
import { RuntimeError } from "../errors.ts";
import { describeValue, excerpt } from "../excerpt.ts";
import { once, startTimeLimit } from "../lifetime.ts";
import type { Logger } from "../logging/logger.ts";
import { assertFunction, assertWhole, refuseOthers, type OptionNames } from "../settings/options.ts";
import { maxTimerMs } from "../settings/environment.ts";
import { toRuntimeError } from "../thrown.ts";

/** Not well: it throws, it rejects, or it gives a text that says what is wrong, or `false`. Anything else is well. `signal` aborts when its time is over. */
export type HealthCheck = (signal: AbortSignal) => unknown;

export interface HealthCheckOptions {
  /** Longest time of one run, ms; then it counts as not well. Default 1000. */
  readonly timeoutMs?: number;
  /** From the end of one run to the next, ms. Default 5000. */
  readonly intervalMs?: number;
}

const checkOptions: OptionNames<HealthCheckOptions> = {
  timeoutMs: true,
  intervalMs: true,
};

/** What a check said last. `since` is RFC 3339: from then on it has said so, each time. */
export type CheckState =
  | { readonly state: "pending" }
  | { readonly state: "passing"; readonly since: string }
  | { readonly state: "failing"; readonly reason: string; readonly since: string };

/** By name. */
export type CheckStates = Readonly<Record<string, CheckState>>;

/** Health checks of a runtime. The process is ready while all of them pass. */
export interface HealthChecks {
  /** How each is now. */
  readonly states: CheckStates;
  /** Run `check` now, and again in its interval, until it is disposed or the runtime closes. A name is 1 to 64 letters, digits, `_`, `.` or `-`; there may be 64 of them.
   *  @throws RuntimeError `invalid_argument` if there is one of this name already, or too many; `unavailable` once the runtime has closed. */
  add(name: string, check: HealthCheck, options?: HealthCheckOptions): Disposable;
}

/** As the runtime has them. Disposing ends all of them. */
export interface OwnedHealthChecks extends HealthChecks, Disposable {}

const maxChecks = 64;
const maxReasonChars = 256;
const nameShape = /^[\w.-]{1,64}$/;

/** What is told of changes, and the time of day in ms. */
export interface HealthChecksOptions {
  readonly log: Logger;
  readonly wallClock: () => number;
  /** Called when a check says something else than before, or is there no more. */
  readonly onChange: () => void;
}

/** Create them, without any. */
export function createHealthChecks(options: HealthChecksOptions): OwnedHealthChecks {
  const running = new Map<string, RunningCheck>();
  let isClosed = false;
  return {
    get states() {
      return Object.fromEntries([...running].map(([name, { state }]) => [name, state]));
    },
    add(name, check, { timeoutMs = 1_000, intervalMs = 5_000, ...others } = {}) {
      refuseOthers(others, checkOptions);
      if (isClosed) throw new RuntimeError("unavailable", "this runtime has closed");
      assertName(name, running);
      assertFunction("the health check", check);
      assertWhole("timeoutMs", timeoutMs, 1, maxTimerMs);
      assertWhole("intervalMs", intervalMs, 1, maxTimerMs);
      const started = startCheck({ ...options, name, check, timeoutMs, intervalMs });
      running.set(name, started);
      const end = once(() => {
        started[Symbol.dispose]();
        running.delete(name);
        options.onChange();
      });
      return { [Symbol.dispose]: end };
    },
    [Symbol.dispose]() {
      isClosed = true;
      for (const each of running.values()) each[Symbol.dispose]();
      running.clear();
    },
  };
}

function assertName(name: string, running: ReadonlyMap<string, unknown>): void {
  if (typeof name !== "string" || !nameShape.test(name))
    throw new RuntimeError(
      "invalid_argument",
      `the name of a health check must be 1 to 64 letters, digits, "_", "." or "-", got ${describeValue(name)}`,
    );
  if (running.has(name)) throw new RuntimeError("invalid_argument", `there is a health check ${name} already`);
  if (running.size >= maxChecks)
    throw new RuntimeError("invalid_argument", `a runtime may have ${maxChecks} health checks`);
}

interface RunningCheck extends Disposable {
  readonly state: CheckState;
}

interface CheckParts extends HealthChecksOptions, Required<HealthCheckOptions> {
  readonly name: string;
  readonly check: HealthCheck;
}

// A run that goes on after its time holds the next one back: runs that hang must not pile up.
function startCheck({ name, check, timeoutMs, intervalMs, log, wallClock, onChange }: CheckParts): RunningCheck {
  let state: CheckState = { state: "pending" };
  let isOver = false;
  let timer: NodeJS.Timeout | undefined;
  let cut = new AbortController();
  const settle = (reason: string | undefined): void => {
    if (isOver) return;
    const before = state;
    const isSame = before.state === (reason === undefined ? "passing" : "failing");
    const since = isSame && "since" in before ? before.since : new Date(wallClock()).toISOString();
    state = reason === undefined ? { state: "passing", since } : { state: "failing", reason, since };
    if (isSame) return;
    onChange();
    if (reason !== undefined) log.warn({ check: name, error: reason }, "health check fails");
    else if (before.state === "failing") log.info({ check: name }, "health check passes again");
  };
  const run = async (): Promise<void> => {
    const { signal } = (cut = new AbortController());
    const tooLate = `no answer within ${timeoutMs} ms`;
    using _limit = startTimeLimit(timeoutMs, () => {
      settle(tooLate);
      cut.abort(new DOMException(tooLate, "TimeoutError"));
    });
    const reason = await ask(check, signal);
    if (!signal.aborted) settle(reason);
  };
  const loop = async (): Promise<void> => {
    await run();
    if (!isOver) timer = setTimeout(() => void loop(), intervalMs).unref();
  };
  void loop();
  return {
    get state() {
      return state;
    },
    [Symbol.dispose]() {
      isOver = true;
      clearTimeout(timer);
      cut.abort();
    },
  };
}

/** What is wrong, or nothing. It never throws. */
async function ask(check: HealthCheck, signal: AbortSignal): Promise<string | undefined> {
  try {
    const answer: unknown = await check(signal);
    if (answer === false) return "it gave false";
    return typeof answer === "string" && answer !== "" ? excerpt(answer, maxReasonChars) : undefined;
  } catch (thrown) {
    return excerpt(toRuntimeError(thrown).message, maxReasonChars) || "it failed without a message";
  }
}
