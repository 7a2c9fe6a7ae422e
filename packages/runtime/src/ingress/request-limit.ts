/** `runtime.limit()`: places that several endpoints of a process share, for instance those of one GPU. */
import { RuntimeError } from "../errors.ts";
import { describeValue } from "../excerpt.ts";
import { assertObject, assertWhole, refuseOthers, type OptionNames } from "../settings/options.ts";
import type { RuntimeConfig } from "../settings/runtime-config.ts";
import { createRoom, type Room } from "./admission.ts";

export interface LimitOptions {
  /** Requests, of models completions, that run at a time at all endpoints together; the lower of this and `--engine-request-limit` holds. Default 0: no limit of its own. */
  readonly requests?: number;
  /** Requests that may wait at all of them together; further ones are refused as `overloaded`. Default: `--request-queue-limit`. */
  readonly queue?: number;
}

const limitOptions: Required<OptionNames<LimitOptions>> = { requests: true, queue: true };

/** What `serve` and `serveModel` take as `limit`: their endpoints share its places and its queue, first come, first served. */
export interface RequestLimit {
  /** Places; 0 = as many as are wanted. */
  readonly requests: number;
  /** Requests that may wait. */
  readonly queue: number;
  /** Places that are taken at the moment; not counted where they are not limited. */
  readonly running: number;
  /** Requests that wait for their first place. */
  readonly queued: number;
}

/** @throws RuntimeError `invalid_argument` on a bad option. */
export function createRequestLimit(
  options: LimitOptions,
  { engineRequestLimit, requestQueueLimit }: RuntimeConfig,
): RequestLimit {
  assertObject("options", options);
  const { requests = 0, queue, ...others } = options;
  refuseOthers(others, limitOptions);
  assertWhole("requests", requests, 0);
  const queueLimit = queue ?? requestQueueLimit;
  assertWhole("queue", queueLimit, 0);
  return new OwnRequestLimit(createRoom([requests, engineRequestLimit], queueLimit));
}

// A class: its room is for endpoints alone.
class OwnRequestLimit implements RequestLimit {
  readonly #room: Room;

  constructor(room: Room) {
    this.#room = room;
  }

  get requests(): number {
    return this.#room.places?.limit ?? 0;
  }

  get queue(): number {
    return this.#room.queueLimit;
  }

  get running(): number {
    return this.#room.places?.taken ?? 0;
  }

  get queued(): number {
    return this.#room.places?.newcomers ?? 0;
  }

  static roomOf(limit: OwnRequestLimit): Room {
    return limit.#room;
  }
}

/** Its room. @throws RuntimeError `invalid_argument` for what no runtime has made. */
export function roomOf(limit: RequestLimit): Room {
  if (limit instanceof OwnRequestLimit) return OwnRequestLimit.roomOf(limit);
  throw new RuntimeError("invalid_argument", `limit must be what runtime.limit() gave, got ${describeValue(limit)}`);
}
