/** What requests may take of a process's memory, all of them together: bodies, prompts, and answers that are held or not yet read. */
import { getHeapStatistics } from "node:v8";
import { RuntimeError } from "./errors.ts";
import type { Counter, Gauge } from "./metrics/series.ts";

/** Memory that a request takes for each byte of its body, until it is over: its texts, which V8 may hold in two bytes a character, and the bytes that are sent on. */
export const requestFactor = 3;
/** Memory for each byte of a text that is kept of an answer: two bytes a character, if one of them needs it. */
export const textFactor = 2;

/** More than this at once is large: the last quarter of the budget is for those who want less. */
export const largeBytes: number = 1024 * 1024;
const largeShare = 0.75;

/** One per process. */
export interface MemoryBudget {
  readonly limitBytes: number;
  /** Taken at the moment. */
  readonly usedBytes: number;
  /** A share for whoever holds something, empty at first. Disposing it gives back all that it has taken. */
  open(): MemoryShare;
}

/** What one owner has taken. */
export interface MemoryShare extends Disposable {
  readonly bytes: number;
  /** Take more. The last quarter of the budget is for others if `isModest`, and if this is more than 1 MiB.
   *  @throws RuntimeError `overloaded` if there is not enough left, `too_large` for what never fits; nothing is taken then. One that is disposed takes nothing. */
  take(bytes: number, isModest?: boolean): void;
  /** Give back some of it. */
  release(bytes: number): void;
}

/** Where it is shown. */
export interface MemoryMetrics {
  readonly limit: Pick<Gauge, "set">;
  readonly used: Pick<Gauge, "inc" | "dec">;
  readonly refusals: Pick<Counter, "inc">;
}

interface Account {
  readonly limitBytes: number;
  readonly metrics: MemoryMetrics;
  usedBytes: number;
}

/** Create a budget of so many bytes; 0 = a third of what V8 may use for its heap: most of what is taken is there, and what is made of it for a moment needs room beside it. */
export function createMemoryBudget(limit: number, metrics: MemoryMetrics): MemoryBudget {
  const limitBytes = limit > 0 ? limit : Math.floor(getHeapStatistics().heap_size_limit / 3);
  const account: Account = { limitBytes, metrics, usedBytes: 0 };
  metrics.limit.set(limitBytes);
  return {
    limitBytes,
    get usedBytes() {
      return account.usedBytes;
    },
    open: () => new Share(account),
  };
}

// A class: each request has one.
class Share implements MemoryShare {
  readonly #account: Account;
  #bytes = 0;
  #isOver = false;

  constructor(account: Account) {
    this.#account = account;
  }

  get bytes(): number {
    return this.#bytes;
  }

  take(bytes: number, isModest = false): void {
    if (this.#isOver || bytes <= 0) return;
    const account = this.#account;
    const most = isModest || bytes > largeBytes ? account.limitBytes * largeShare : account.limitBytes;
    if (account.usedBytes + bytes > most) {
      account.metrics.refusals.inc();
      throw toRefusal(bytes, most, account);
    }
    account.usedBytes += bytes;
    account.metrics.used.inc(bytes);
    this.#bytes += bytes;
  }

  release(bytes: number): void {
    const released = Math.min(bytes, this.#bytes);
    this.#account.usedBytes -= released;
    this.#account.metrics.used.dec(released);
    this.#bytes -= released;
  }

  [Symbol.dispose](): void {
    this.release(this.#bytes);
    this.#isOver = true;
  }
}

function toRefusal(bytes: number, most: number, { limitBytes, usedBytes }: Account): RuntimeError {
  const limit = `${limitBytes} bytes that requests may take, set by DYN_MEMORY_LIMIT_MB`;
  if (bytes > most)
    return new RuntimeError("too_large", `this takes ${bytes} bytes of memory, more than fits into the ${limit}`);
  return new RuntimeError(
    "overloaded",
    `there is no memory for ${bytes} bytes more: ${usedBytes} are taken of the ${limit}`,
  );
}
