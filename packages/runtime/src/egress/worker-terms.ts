/** What a worker takes of this process: as its HELLO says, and as fast as it reads. */
import { countOf } from "../counts.ts";
import { RuntimeError } from "../errors.ts";
import type { Hello } from "../wire/hello.ts";
import {
  expiredCancels,
  isRequestStream,
  requestBytes,
  requestStreams,
  type CancelMode,
  type RequestMessage,
} from "../wire/messages.ts";
import { WorkerError } from "./worker-error.ts";

/** Bytes of requests that may wait for a worker's socket before it gets no more of them: a burst of long prompts is no fault of its yet. */
const maxUnreadBytes = 8 * 1024 * 1024;

/** What is under way to it. */
export interface UnderWay {
  readonly streams: number;
  /** Bytes that wait for the kernel. */
  readonly queuedBytes: number;
}

/** Of one connection. */
export class WorkerTerms {
  #maxStreams: number;
  #maxFrameBytes: number;
  #takesStreams: boolean;
  #takesExpired: boolean;
  /** Of requests, since nothing waited for the socket. */
  #requestBytes = 0;

  constructor({ max_streams, max_frame_bytes, capabilities }: Hello) {
    this.#maxStreams = max_streams;
    this.#maxFrameBytes = max_frame_bytes;
    this.#takesStreams = capabilities.includes(requestStreams);
    this.#takesExpired = capabilities.includes(expiredCancels);
  }

  /** Count one more request, which is sent now. @throws RuntimeError `overloaded` at the worker's stream limit or when it does not read, `too_large` over its frame limit, `unimplemented` for one in pieces that it cannot take. */
  admit(request: RequestMessage, { streams, queuedBytes }: UnderWay): void {
    if (streams >= this.#maxStreams) {
      throw new RuntimeError(
        "overloaded",
        `${countOf(this.#maxStreams, "stream to the worker is", "streams to the worker are")} open, its limit`,
      );
    }
    this.#assertReads(queuedBytes);
    const size = requestBytes(request);
    this.#assertFits(size);
    if (isRequestStream(request) && !this.#takesStreams) {
      const message = "the worker is of a version that takes no request in pieces: upgrade it";
      throw new WorkerError("unimplemented", message, { retryable: true }); // another may be of a later one; a handler that passes this on says nothing of it
    }
    this.#requestBytes += size;
  }

  // What waits may be a piece of a request, which is as large as its caller likes, and follows at a worker that reads: it is no reason to refuse others.
  #assertReads(queuedBytes: number): void {
    if (queuedBytes === 0) this.drained();
    const unread = Math.min(queuedBytes, this.#requestBytes);
    if (unread < maxUnreadBytes) return;
    throw new RuntimeError(
      "overloaded",
      `the worker leaves ${unread} bytes of requests unread, the limit is ${maxUnreadBytes}`,
    );
  }

  // The worker would end the connection, and with it everybody else's streams.
  #assertFits(size: number): void {
    if (size <= this.#maxFrameBytes) return;
    const limit = `the worker's limit is ${this.#maxFrameBytes}, set by its DYN_TCP_MAX_MESSAGE_SIZE`;
    const publicMessage = `the request is ${size} bytes on the plane, ${limit}`; // an HTTP client cannot do what follows
    throw new RuntimeError("too_large", `${publicMessage}: send it in pieces, as an async iterable`, { publicMessage });
  }

  /** Nothing waits for the socket any more. */
  drained(): void {
    this.#requestBytes = 0;
  }

  /** The mode in which a worker of its version is told. */
  toCancelMode(mode: CancelMode): CancelMode {
    return mode === "expired" && !this.#takesExpired ? "kill" : mode;
  }
}
