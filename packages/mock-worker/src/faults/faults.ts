/** Faults on purpose: which request fails, how, and before which token. Decided by seed and number of the request, so runs repeat. */
import { isErrorCode, RuntimeError, type ErrorCode } from "@dyn/runtime";
import { maxTimerMs, type PeerConnection, type Logger } from "@dyn/runtime/internal";
import { toShare } from "../hash.ts";

type Kind =
  | { readonly type: "error"; readonly code: ErrorCode }
  | { readonly type: "delay"; readonly ms: number }
  | { readonly type: "hang" | "crash" | "cut" | "garbage" };

export type Fault = Kind & {
  /** Tokens of this worker that come before it. */
  readonly afterTokens: number;
  /** Share of the requests it hits, 0 to 1. */
  readonly rate: number;
};

const shape = /^(error|delay|hang|crash|cut|garbage)(?::([a-z_0-9]+))?(?:@(\d{1,9}))?(?:%(\d*\.?\d+(?:e-\d+)?))?$/;
const expected =
  'expected KIND[:ARG][@TOKENS][%RATE] with commas between; KIND is error:CODE, delay:MS, hang, crash, cut or garbage, RATE from 0 to 1; for example "error:overloaded%0.1,crash@5"';

/** Parse a list such as `error:overloaded%0.1,delay:200@4`; "" is none. @throws Error saying what was expected. */
export function parseFaults(text: string): readonly Fault[] {
  return text.split(",").flatMap((part) => (part.trim() === "" ? [] : parseFault(part.trim())));
}

function parseFault(text: string): Fault {
  const [match, type = "", argument, after = "0", rate = "1"] = shape.exec(text) ?? [];
  if (match === undefined || Number(rate) > 1) throw new Error(expected);
  const common = { afterTokens: Number(after), rate: Number(rate) };
  if (type === "error") {
    const code = argument ?? "internal";
    if (!isErrorCode(code)) throw new Error(`${expected}; ${JSON.stringify(code)} is no error code`);
    return { type, code, ...common };
  }
  if (type === "delay") {
    const ms = /^\d+$/.test(argument ?? "") ? Number(argument) : Number.NaN;
    if (!(ms <= maxTimerMs)) throw new Error(`${expected}; a delay needs its time in ms`);
    return { type, ms, ...common };
  }
  if (argument !== undefined) throw new Error(`${expected}; ${type} takes no argument`);
  return { type: type as "hang" | "crash" | "cut" | "garbage", ...common }; // the shape allows no other
}

/** The text that is read as these faults. */
export function formatFaults(faults: readonly Fault[]): string {
  return faults.map(formatFault).join(",");
}

function formatFault(fault: Fault): string {
  const argument = fault.type === "error" ? `:${fault.code}` : fault.type === "delay" ? `:${fault.ms}` : "";
  const after = fault.afterTokens === 0 ? "" : `@${fault.afterTokens}`;
  return `${fault.type}${argument}${after}${fault.rate === 1 ? "" : `%${fault.rate}`}`;
}

/** The faults of one worker. */
export interface FaultPlan {
  /** Those that hit its next request. */
  next(): readonly Fault[];
  /** Have these instead, for requests to come, which are counted from 1 again. What is held goes on. */
  replace(faults: readonly Fault[]): void;
  /** Resolves once the faults are replaced, or the request is aborted. */
  hold(signal: AbortSignal): Promise<void>;
}

export function createFaultPlan(given: readonly Fault[], seed: number): FaultPlan {
  let faults = given;
  let requests = 0;
  const held = new Set<() => void>();
  return {
    next() {
      requests += 1;
      return faults.filter(({ rate }, index) => rate >= 1 || toShare(seed, requests, index) < rate);
    },
    replace(others) {
      faults = others;
      requests = 0;
      for (const release of held) release();
    },
    hold: (signal) =>
      new Promise((resolve) => {
        const release = (): void => {
          held.delete(release);
          signal.removeEventListener("abort", release);
          resolve();
        };
        held.add(release);
        signal.addEventListener("abort", release);
        if (signal.aborted) release();
      }),
  };
}

/** What a fault may do to the request that it hits, and to the worker. */
export interface FaultTarget {
  readonly connection: () => PeerConnection;
  readonly log: () => Logger;
  /** Resolves after so many ms, or when the request is aborted. */
  readonly sleep: (ms: number) => Promise<void>;
  /** Resolves once the faults are replaced, or the request is aborted. */
  readonly hold: () => Promise<void>;
  /** End the worker without a word; the command ends its process. */
  readonly crash: () => void;
}

/** Do what a fault says. A crash returns only where the process goes on, a hang only once it is held no longer. */
export async function injectFault(fault: Fault, { connection, log, sleep, hold, crash }: FaultTarget): Promise<void> {
  log()
    .child({ target: "dyn_mock_worker" })
    .warn({ fault: formatFault(fault) }, "fault strikes");
  switch (fault.type) {
    case "error":
      throw new RuntimeError(fault.code, `fault injected: ${fault.code}`);
    case "delay":
      return sleep(fault.ms);
    case "hang":
      return hold();
    case "crash":
      await sleep(1); // until the line, and the tokens before it, have left
      crash();
      return sleep(maxTimerMs);
    case "cut":
      return connection().cut();
    case "garbage":
      return connection().inject(Buffer.from("this is no frame", "latin1"));
  }
}
