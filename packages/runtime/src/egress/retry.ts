/** How often requests may be tried again: a budget over all requests of a client, and a wait that grows. */

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
