/** Watches over the peer of one connection: pings it when it says nothing, answers its pings, and tells when it is dead. */
import { RuntimeError } from "../errors.ts";
import type { FrameWriter } from "../wire/frame-writer.ts";
import { frameTypeName, frameTypes, type FrameType } from "../wire/frames.ts";
import { encodePing } from "../wire/messages.ts";
import { Liveness, type IntervalState } from "./liveness.ts";
import type { Outbox } from "./outbox.ts";
import { Patience } from "./patience.ts";
import type { Witness } from "./witness.ts";

/** What a connection says of itself, and what it hears. */
export interface PingsOptions {
  readonly remote: string;
  /** Silence after which the peer is pinged, ms. */
  readonly intervalMs: number;
  /** Who knows whether a silent peer lives. Default: nobody. */
  readonly witness: Witness | undefined;
  readonly outbox: Outbox;
  /** Asked at the end of each interval. */
  readonly state: () => IntervalState;
  readonly onPong: (opaque: Buffer) => void;
  readonly onStall: (isStalled: boolean) => void;
  /** Nothing more is to be expected of the peer. */
  readonly onDead: (why: RuntimeError) => void;
}

/** Of one connection, which says what has arrived. Disposing it ends the watch. */
export class Pings implements Disposable {
  #options: PingsOptions;
  #writer: FrameWriter;
  #liveness: Liveness;
  #patience: Patience;
  #timer: NodeJS.Timeout | undefined;
  #isOver = false;
  #isAnswered = true;

  constructor(options: PingsOptions) {
    const { remote, intervalMs, witness, outbox, onStall } = options;
    this.#options = options;
    this.#writer = outbox.writer;
    this.#liveness = new Liveness(remote, intervalMs);
    this.#patience = new Patience(this.#liveness, witness, onStall);
  }

  /** Begin to watch. */
  start(): void {
    const beat = (): void => this.#beat();
    this.#timer = setInterval(() => setImmediate(beat), this.#options.intervalMs).unref(); // what has arrived is read first
  }

  /** True while the peer has not answered a ping. */
  get isSilent(): boolean {
    return this.#liveness.isSilent;
  }

  /** The peer has sent something. */
  heard(): void {
    this.#liveness.heard();
    this.#patience.heard();
  }

  /** A PING or a PONG. @throws RuntimeError `protocol` on one that is none. */
  frame(type: FrameType, streamId: number, opaque: Buffer): void {
    if (opaque.length !== 8 || streamId !== 0)
      throw new RuntimeError("protocol", `${frameTypeName(type)} is not 8 bytes on stream 0`);
    if (type === frameTypes.PONG) return this.#options.onPong(opaque);
    if (!this.#options.outbox.isWritable) return; // what waits already tells the peer as much, once it reads
    encodePing(this.#writer, "PONG", opaque);
    this.#isAnswered = false;
  }

  /** All frames of a chunk have been handed over. Answers leave now, since the request that came with the ping may end this process before the tick does. */
  flush(): void {
    if (this.#isAnswered) return;
    this.#options.outbox.flush();
    this.#isAnswered = true;
  }

  #beat(): void {
    if (this.#isOver) return;
    const { state, outbox, onDead } = this.#options;
    const now = state();
    const found = this.#liveness.endInterval(now);
    if (found instanceof RuntimeError) return void this.#patience.judge(found, now.isPaused, () => onDead(found));
    this.#patience.endInterval(found === "ping");
    if (found === "heard") return;
    encodePing(this.#writer, "PING", Buffer.alloc(8));
    outbox.flush();
  }

  [Symbol.dispose](): void {
    this.#isOver = true;
    clearInterval(this.#timer);
  }
}
