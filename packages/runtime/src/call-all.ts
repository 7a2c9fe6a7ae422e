/** One request to every instance of an endpoint. */
import type { Instance } from "./discovery/instance.ts";
import { RuntimeError } from "./errors.ts";
import { isAsyncIterable } from "./given-items.ts";
import { maxTimerMs } from "./settings/environment.ts";
import { assertWhole, refuseOthers, type OptionNames } from "./settings/options.ts";
import { toRuntimeError } from "./thrown.ts";

/** Of one request to all. Each instance gets a call with an id of its own. */
export interface AllOptions {
  /** Cancels what is under way: the results that are missing then are `cancelled`. Default: nothing does. */
  readonly signal?: AbortSignal;
  /** Time all may take together, a whole number of ms from 1 to 2³¹−1: the results that are missing then are `deadline_exceeded`. Default: no limit. */
  readonly timeoutMs?: number;
  /** Instances that are asked at a time, from 1 to 1024. Default 16. */
  readonly concurrency?: number;
  /** The client's own id, visible ASCII, at most 256 characters, the same for all. Default: none. */
  readonly xRequestId?: string;
}

/** What one of them said. */
export type InstanceResult<Item> =
  | { readonly instanceId: string; readonly item: Item; readonly error?: undefined }
  | { readonly instanceId: string; readonly error: RuntimeError; readonly item?: undefined };

/** What of the options each call has. */
export interface OneOptions {
  readonly instanceId: string;
  readonly signal?: AbortSignal;
  readonly deadlineAt?: number;
  readonly xRequestId?: string;
}

/** `ask` throws at once if the request cannot be sent to anybody, and rejects if one does not answer well. */
export async function callAll<Item>(
  instances: readonly Instance[],
  request: unknown,
  { signal, timeoutMs, concurrency = 16, xRequestId, ...others }: AllOptions,
  { ask, now }: { readonly ask: (options: OneOptions) => Promise<Item>; readonly now: () => number },
): Promise<InstanceResult<Item>[]> {
  refuseOthers(others, {
    signal: true,
    timeoutMs: true,
    concurrency: true,
    xRequestId: true,
  } satisfies OptionNames<AllOptions>);
  if (isAsyncIterable(request))
    throw new RuntimeError(
      "invalid_argument",
      "a request in pieces is read once: it cannot be sent to several instances",
    );
  assertWhole("concurrency", concurrency, 1, 1_024);
  if (timeoutMs !== undefined) assertWhole("timeoutMs", timeoutMs, 1, maxTimerMs);
  const timeout = timeoutMs === undefined ? [] : [AbortSignal.timeout(timeoutMs)];
  const signals = signal ? [signal, ...timeout] : timeout;
  const shared = {
    ...(signals.length > 0 && { signal: AbortSignal.any(signals) }),
    ...(timeoutMs !== undefined && { deadlineAt: now() + timeoutMs }),
    ...(xRequestId !== undefined && { xRequestId }),
  };
  const results: InstanceResult<Item>[] = [];
  const waiting = instances.entries();
  const work = async (): Promise<void> => {
    for (const [place, { id: instanceId }] of waiting) {
      const asked = ask({ ...shared, instanceId });
      results[place] = await asked.then(
        (item) => ({ instanceId, item }),
        (thrown: unknown) => ({ instanceId, error: toRuntimeError(thrown) }),
      );
    }
  };
  await Promise.all(Array.from({ length: Math.min(concurrency, instances.length) }, work));
  return results;
}
