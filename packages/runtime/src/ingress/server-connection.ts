/** The listening end of one connection: admits the requests that come over it, and runs the handler of the endpoint they name. */
import type { Socket } from "node:net";
import { countOf } from "../counts.ts";
import { RuntimeError } from "../errors.ts";
import { toRuntimeError } from "../thrown.ts";
import { requestFactor, type MemoryBudget } from "../memory-budget.ts";
import { within } from "../lifetime.ts";
import type { Logger } from "../logging/logger.ts";
import type { Counter } from "../metrics/series.ts";
import type { Guard } from "../security/auth.ts";
import type { CallScopes } from "../trace/call-scope.ts";
import type { Tracer } from "../trace/spans.ts";
import type { Hello } from "../wire/hello.ts";
import { Connection, type ConnectionEvents } from "../net/connection.ts";
import type { FrameWriter } from "../wire/frame-writer.ts";
import { frameTypeName, frameTypes, type FrameType } from "../wire/frames.ts";
import { fromPlaneHeaders, toLogFields } from "../trace/identity.ts";
import { encodeError } from "../wire/endings.ts";
import {
  decodeCancel,
  decodeCredit,
  decodeRequest,
  encodeGoaway,
  encodeWithdraw,
  isRequestStream,
  type RequestMessage,
} from "../wire/messages.ts";
import type { Place } from "./places.ts";
import type { LoopWatch } from "./loop-watch.ts";
import type { Pauses } from "./pauses.ts";
import { RequestItems } from "./request-items.ts";
import { RequestStreams } from "./request-streams.ts";
import { runRequest } from "./run-request.ts";
import type { EndpointEntry, ServedEndpoints } from "./served-endpoints.ts";
import { ServerStream } from "./server-stream.ts";

/** Memory for what is known of a request, beside its bytes. */
const requestBytes = 8 * 1024;
/** How long a client that was told to go elsewhere may take to close, ms. */
const lastRequestsMs = 5_000;

export interface ServerConnectionOptions {
  /** What this process says of itself on each connection; its `max_streams` is enforced. */
  readonly hello: Hello;
  /** How long a dialler's HELLO may take, ms. */
  readonly helloTimeoutMs: number;
  /** Silence after which a dialler is pinged, ms. */
  readonly pingIntervalMs: number;
  /** What diallers must prove, asked for each connection; undefined = nothing. */
  readonly guard?: () => Guard | undefined;
  /** For requests, from their arrival to their end. */
  readonly memory: MemoryBudget;
  readonly log: Logger;
  /** Requests refused because streams, places or memory are used up. */
  readonly rejections: Counter;
  readonly tracer: Tracer;
  readonly scopes: CallScopes;
  /** Monotonic clock, ms. */
  readonly now: () => number;
}

/** What all connections of a process share. */
export interface ConnectionParts {
  readonly options: ServerConnectionOptions;
  readonly endpoints: ServedEndpoints;
  readonly pauses: Pauses;
  readonly loop: LoopWatch;
}

/** Who made a connection, and wants to hear of it. */
interface Owner {
  readonly onOpen: () => void;
  readonly onGone: () => void;
}

/** Takes ownership of a socket whose preface has been read. */
export class ServerConnection {
  #connection: Connection;
  #streams = new Map<number, ServerStream>();
  #requestStreams: RequestStreams;
  #lastId = 0;
  #goneAway = false;
  #gone = Promise.withResolvers<void>();
  #isGuarded: boolean;
  #parts: ConnectionParts;

  constructor(socket: Socket, head: Buffer, parts: ConnectionParts, { onOpen, onGone }: Owner) {
    this.#parts = parts;
    const { hello, helloTimeoutMs, pingIntervalMs, memory } = parts.options;
    const events: ConnectionEvents = {
      onOpen,
      onFrame: (type, streamId, body) => this.#frame(type, streamId, body),
      onRefused: (type, streamId, error) => this.#passedOver(type, streamId, error),
      onPong: () => undefined,
      onChunkEnd: () => this.#requestStreams.wake(),
      onDrain: () => {
        for (const stream of this.#streams.values()) stream.wake();
      },
      onClose: (cause) => {
        this.#closed(cause);
        this.#gone.resolve();
        onGone();
      },
    };
    const guard = parts.options.guard?.();
    this.#isGuarded = guard !== undefined;
    this.#connection = new Connection(
      socket,
      { role: "listener", memory, hello, helloTimeoutMs, pingIntervalMs, guard, head },
      events,
    );
    this.#requestStreams = new RequestStreams(this.#connection, memory, this.#streams);
  }

  /** Of requests that run, or wait for their turn. */
  get streams(): Iterable<ServerStream> {
    return this.#streams.values();
  }

  goAway(reason: string): void {
    this.#goneAway = true;
    this.#say((writer) => encodeGoaway(writer, reason));
  }

  withdraw(path: string): void {
    if (this.#goneAway) return; // said already, of all endpoints
    this.#say((writer) => encodeWithdraw(writer, path));
  }

  // Where a token is asked for, only to those who have proven that they know it.
  #say(encode: (writer: FrameWriter) => void): void {
    const send = (): void => {
      encode(this.#connection.writer);
      this.#connection.flushSoon();
    };
    if (!this.#isGuarded || this.#connection.isOpen) return send();
    this.#connection.ready.then(send, () => undefined); // why a stranger was sent away is in the log
  }

  /** As `Connection.finish`. Whoever was told to go elsewhere closes by itself, and has an answer until then: what crosses our word is refused, and nobody has to take it for lost. */
  async finish(): Promise<void> {
    if (!this.#goneAway || !this.#connection.isOpen) return this.#connection.finish();
    if (!(await within(this.#gone.promise, lastRequestsMs))) this.#connection.end();
  }

  #closed(cause: RuntimeError | undefined): void {
    const { log } = this.#parts.options;
    const fields = { remote: this.#connection.remote, streams: this.#streams.size };
    const message = "connection ended with an error";
    // Nobody has lost anything if a caller goes while nothing is under way.
    const level = cause?.code === "disconnected" && this.#streams.size === 0 ? "info" : "warn";
    if (!cause) log.debug(fields, "connection closed");
    else if (this.#streams.size > 0) log[level]({ ...fields, error: cause.message, "error.type": cause.code }, message);
    else
      log.summed(level, { ...fields, error: cause.message, "error.type": cause.code }, message, { kind: cause.code });
    const at = this.#parts.options.now();
    for (const stream of this.#streams.values()) stream.cancel("the client's connection is gone", at, cause);
  }

  #frame(type: FrameType, streamId: number, body: Buffer): void {
    if (type === frameTypes.GOAWAY && streamId === 0) return; // the dialler will send no more requests; nothing to prepare for
    if (streamId === 0) throw new RuntimeError("protocol", `${frameTypeName(type)} on stream 0`);
    if (type === frameTypes.REQUEST) return this.#request(streamId, body);
    const isUpload = type === frameTypes.ITEMS || type === frameTypes.END;
    if (type !== frameTypes.CANCEL && type !== frameTypes.CREDIT && !isUpload) {
      throw new RuntimeError("protocol", `${frameTypeName(type)} is not for the listening side`);
    }
    if (streamId > this.#lastId)
      throw new RuntimeError("protocol", `${frameTypeName(type)} on stream ${streamId}, which was never opened`);
    const stream = this.#streams.get(streamId);
    if (!stream) return; // it ended while this frame was under way
    if (type === frameTypes.CREDIT) return stream.grant(decodeCredit(body));
    if (isUpload) return this.#requestStreams.frame(stream, type, body);
    const mode = decodeCancel(body);
    if (mode === "stop") stream.stop();
    else if (mode === "expired") stream.expire("the caller waits no longer");
    else stream.cancel("cancelled by the client", this.#parts.options.now());
  }

  // Its caller sends the rest of it all the same.
  #passedOver(type: FrameType, streamId: number, error: RuntimeError): void {
    if (type === frameTypes.ITEMS && streamId !== 0) return this.#requestStreams.refuseItems(streamId, error);
    if (type !== frameTypes.REQUEST || streamId === 0) throw error;
    this.#begin(streamId);
    this.#refuse(streamId, undefined, error);
  }

  #begin(streamId: number): void {
    if (streamId <= this.#lastId)
      throw new RuntimeError("protocol", `REQUEST reuses stream ${streamId}, the last was ${this.#lastId}`);
    this.#lastId = streamId;
  }

  #request(streamId: number, body: Buffer): void {
    this.#begin(streamId);
    if (!this.#connection.isWritable) this.#connection.pause(); // every request is answered, and the answers are not read
    const { options } = this.#parts;
    let request: RequestMessage | undefined;
    const share = options.memory.open();
    try {
      share.take(requestFactor * body.length + requestBytes);
      request = decodeRequest(Buffer.from(body)); // its payload outlives this frame's chunk
      const entry = this.#findEndpoint(request.path);
      const upload = isRequestStream(request) ? new RequestItems(this.#requestStreams, streamId) : undefined;
      const stream = new ServerStream(this.#connection, streamId, request.credit, upload);
      const place = entry.endpoint.admission.enter();
      void this.#run(stream, request, entry, place).finally(() => {
        upload?.[Symbol.dispose]();
        place?.[Symbol.dispose]();
        share[Symbol.dispose]();
        this.#streams.delete(streamId);
        entry.end(stream);
        this.#parts.loop.ended(stream);
      });
    } catch (error) {
      share[Symbol.dispose]();
      this.#refuse(streamId, request, toRuntimeError(error));
    }
  }

  // @throws RuntimeError saying why the request is not taken.
  #findEndpoint(path: string): EndpointEntry {
    const { endpoints, options } = this.#parts;
    const entry = endpoints.find(path);
    if (this.#goneAway) throw new RuntimeError("unavailable", "this worker is draining");
    if (!entry)
      throw new RuntimeError("unavailable", `this worker does not serve ${path}`, {
        publicMessage: "this worker does not serve the endpoint",
      });
    if (this.#streams.size >= options.hello.max_streams)
      throw new RuntimeError(
        "overloaded",
        `${countOf(this.#streams.size, "stream is", "streams are")} open, the limit`,
      );
    return entry;
  }

  // Never rejects, as `runRequest`.
  #run(stream: ServerStream, request: RequestMessage, entry: EndpointEntry, place: Place | undefined): Promise<void> {
    const { pauses, options } = this.#parts;
    this.#streams.set(stream.id, stream);
    entry.begin(stream);
    const { now, tracer, scopes } = options;
    return runRequest(stream, request, { endpoint: entry.endpoint, place, pauses, now, tracer, scopes });
  }

  #refuse(
    streamId: number,
    request: RequestMessage | undefined,
    { code, message, publicMessage, retryable }: RuntimeError,
  ): void {
    const said = publicMessage ?? message;
    encodeError(this.#connection.writer, streamId, {
      code,
      message: said,
      retryable,
      produced: false,
    });
    this.#connection.flushSoon();
    const { hello, log, rejections } = this.#parts.options;
    if (code === "overloaded") rejections.inc();
    const ids = request && {
      ...toLogFields(fromPlaneHeaders(request.headers), "handle_payload"),
      attempt: request.attempt,
      instance_id: hello.instance_id,
    };
    const error = { "error.type": code, error: message };
    log.warn({ ...ids, remote: this.#connection.remote, ...error, event: "request_refused" }, "request refused");
  }
}
