/** Whether the peer of a connection still lives: it is pinged when it says nothing, and taken for dead when it goes on saying nothing. */
import { PeerError, type RuntimeError } from "../errors.ts";
import { FrameWatch, maxFrameChecks } from "./frame-watch.ts";

/** Silent intervals after which the peer is dead. */
const maxSilentIntervals = 3;
/** The same while we do not read the peer, because it does not read us. */
const maxPausedIntervals = 10;

/** What a connection knows at the end of an interval. */
export interface IntervalState {
  /** Nothing is read at the moment. */
  readonly isPaused: boolean;
  /** Which frame is under way, if any: `FrameDecoder.underWay`. */
  readonly frame: number | undefined;
}

/** Of one connection. */
export class Liveness {
  readonly #remote: string;
  readonly #intervalMs: number;
  readonly #frameWatch = new FrameWatch();
  #heard = true;
  #silent = 0;

  /** `intervalMs`: time between two calls of `endInterval`. */
  constructor(remote: string, intervalMs: number) {
    this.#remote = remote;
    this.#intervalMs = intervalMs;
  }

  /** The peer has sent something. */
  heard(): void {
    this.#heard = true;
  }

  /** How long the peer has said nothing, ms, in whole intervals. */
  get silentMs(): number {
    return this.#heard ? 0 : this.#silent * this.#intervalMs;
  }

  /** True while the peer has not answered a ping. */
  get isSilent(): boolean {
    return this.#silent > 0 && !this.#heard;
  }

  /** @returns whether the peer is to be pinged, or why it is taken for dead. */
  endInterval({ isPaused, frame }: IntervalState): "heard" | "ping" | RuntimeError {
    if (this.#frameWatch.isLate(frame, isPaused)) {
      const lateMs = maxFrameChecks * this.#intervalMs;
      return new PeerError("protocol", `a frame from ${this.#remote} was not there whole within ${lateMs} ms`);
    }
    if (this.#heard) {
      this.#heard = false;
      this.#silent = 0;
      return "heard";
    }
    this.#silent += 1;
    if (this.#silent < (isPaused ? maxPausedIntervals : maxSilentIntervals)) return "ping";
    const what = isPaused ? `${this.#remote} has not read its answers` : `nothing heard from ${this.#remote}`;
    return new PeerError("disconnected", `${what} for ${this.#silent * this.#intervalMs} ms`);
  }
}
