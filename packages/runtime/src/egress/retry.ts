/** Whether and how often requests may be tried again: what their caller wants, a budget over all requests of a client, and a wait that grows. */
import { errorTable, isErrorCode, type ErrorCode } from "../error-table.ts";
import { RuntimeError } from "../errors.ts";
import type { Instance } from "../discovery/instance.ts";
import { assertWhole, refuseOthers, type OptionNames } from "../settings/options.ts";
import { WorkerError } from "./worker-error.ts";

/** Attempts of a request in all. */
export const maxAttempts = 8;
const maxBackoffMs = 60_000;

/** When another instance is tried. Whoever gives one says that a request may run twice without harm. */
export interface RetryPolicy {
  /** Attempts that may fail one after the other without an item between them, from 1 to 8. Above 1, instances that could not be reached do not count, and 8 in all are the limit. Default 3. */
  readonly attempts?: number;
  /** Codes of the failures after which another instance is tried, whatever the errors themselves say. Default: those that are retryable by their code, unless the error says otherwise. */
  readonly codes?: readonly ErrorCode[];
  /** Wait before the second attempt, a whole number of ms from 0 to 60000; half of it is random, and each further one is twice as long. Default: none before the second, 10 before the third. */
  readonly backoffMs?: number;
}

const retryOptions: OptionNames<RetryPolicy> = {
  attempts: true,
  codes: true,
  backoffMs: true,
};

/** The same as the router reads it. */
export interface Retrying {
  /** The caller has said that a request may run twice. */
  readonly isAsked: boolean;
  readonly attempts: number;
  /** Undefined = as errors say. */
  readonly codes: ReadonlySet<ErrorCode> | undefined;
  /** Undefined = the default. */
  readonly firstMs: number | undefined;
}

/** What is known of an attempt that has failed. */
export interface FailedAttempt {
  /** Items of it have been read. */
  readonly delivered: boolean;
  readonly isSent: boolean;
  readonly instance: Instance;
}

/** What a caller wants; `false` = one attempt, undefined = others only where no handler was called. @throws RuntimeError `invalid_argument` naming what is wrong. */
export function toRetrying(policy: RetryPolicy | false | undefined): Retrying {
  if (policy === undefined) return { isAsked: false, attempts: 3, codes: undefined, firstMs: undefined };
  if (policy === false) return { isAsked: false, attempts: 1, codes: undefined, firstMs: undefined };
  if (typeof policy !== "object" || policy === null)
    throw new RuntimeError("invalid_argument", "retry must be false or an object");
  const { attempts = 3, codes, backoffMs: firstMs, ...others } = policy;
  refuseOthers(others, retryOptions);
  assertWhole("retry.attempts", attempts, 1, maxAttempts);
  if (firstMs !== undefined) assertWhole("retry.backoffMs", firstMs, 0, maxBackoffMs);
  if (codes !== undefined && !Array.isArray(codes))
    throw new RuntimeError("invalid_argument", "retry.codes must be a list of error codes");
  const wrong = codes?.find((code) => !isErrorCode(code));
  if (wrong !== undefined)
    throw new RuntimeError(
      "invalid_argument",
      `retry.codes has ${JSON.stringify(wrong)}, expected some of ${Object.keys(errorTable).join(", ")}`,
    );
  return { isAsked: true, attempts, codes: codes && new Set(codes), firstMs };
}

/** True if another instance is to be tried after this failure. A handler must not be called twice for one request, unless somebody has said that it may: its caller, its endpoint, or
 *  itself by its error. A worker that has answered knows the latter two; of one that was lost, all that was sent may have begun. */
export function isTriedAgain({ codes, isAsked }: Retrying, failure: RuntimeError, attempt: FailedAttempt): boolean {
  if (codes) return codes.has(failure.code);
  const isCallersWord = isAsked || attempt.delivered; // the rest of an answer is what its caller asks for
  if (failure instanceof WorkerError) return failure.retryable || (isCallersWord && failure.ifIdempotent);
  return failure.retryable && (isCallersWord || !attempt.isSent || attempt.instance.isIdempotent === true);
}

/** One per client. */
export interface RetryBudget {
  /** A request has been sent for the first time. */
  deposit(): void;
  /** @returns false if too many requests are being tried again already. */
  withdraw(): boolean;
}

/** How many retries all requests of a client may cost together. */
export interface RetryBudgetOptions {
  /** Retries each request pays for. Default 0.2. */
  readonly perRequest?: number;
  /** Retries in hand at the start, and the most that can be saved. Default 100. */
  readonly most?: number;
}

/** Create a full budget. A deployment that refuses as a whole gets a fifth more load from retries, not a multiple. */
export function createRetryBudget({ perRequest = 0.2, most = 100 }: RetryBudgetOptions = {}): RetryBudget {
  let left = most;
  return {
    deposit() {
      left = Math.min(most, left + perRequest);
    },
    withdraw() {
      if (left < 1) return false;
      left -= 1;
      return true;
    },
  };
}

/** Waits are half random, so that callers that failed together do not come back together. */
export interface BackoffOptions {
  /** Wait before the second retry, ms. Default 10. */
  readonly firstMs?: number;
  /** Longest wait, ms. Default 250. */
  readonly longestMs?: number;
}

/** Time before the `retry`th retry (from 0), ms: none before the first, then doubling, with jitter. */
export function backoffMs(
  retry: number,
  random: () => number,
  { firstMs = 10, longestMs = 250 }: BackoffOptions = {},
): number {
  if (retry === 0) return 0;
  return Math.min(firstMs * 2 ** (retry - 1), longestMs) * (0.5 + random() / 2);
}

/** Time before the next attempt, ms, after `failed` of them in a row. */
export function retryWaitMs({ firstMs }: Retrying, failed: number, random: () => number): number {
  if (firstMs === undefined) return backoffMs(failed - 1, random);
  return backoffMs(failed, random, { firstMs, longestMs: maxBackoffMs });
}
