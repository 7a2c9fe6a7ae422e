/** The listening end of the plane: takes connections, admits requests, and runs the handler of the endpoint they name. */
import type { Socket } from "node:net";
import { countOf } from "../counts.ts";
import { RuntimeError, toRuntimeError } from "../errors.ts";
import { requestFactor, type MemoryBudget } from "../memory-budget.ts";
import { createGate } from "../lifetime.ts";
import type { Counter } from "../metrics/series.ts";
import type { Logger } from "../logging/logger.ts";
import type { Guard } from "../security/auth.ts";
import { Connection, type ConnectionEvents } from "../net/connection.ts";
import type { Tracer } from "../trace/spans.ts";
import type { FrameWriter } from "../wire/frame-writer.ts";
import { frameTypeName, frameTypes, type FrameType } from "../wire/frames.ts";
import { fromPlaneHeaders, toLogFields } from "../trace/identity.ts";
import {
  decodeCancel,
  decodeCredit,
  decodeRequest,
  encodeError,
  encodeGoaway,
  encodeWithdraw,
  type RequestMessage,
} from "../wire/messages.ts";
import type { Hello } from "../wire/hello.ts";
import type { Place } from "./admission.ts";
import { createPauses, type Pauses } from "./pauses.ts";
import { runRequest, type ServedEndpoint } from "./run-request.ts";
import { ServerStream } from "./server-stream.ts";

/** Memory for what is known of a request, beside its bytes. */
const requestBytes = 8 * 1024;
/** Endpoints served once of which later diallers are told that they are gone. */
const maxWithdrawn = 1_024;

export interface PushServerOptions {
  readonly hello: Hello;
  readonly helloTimeoutMs: number;
  readonly pingIntervalMs: number;
  /** What diallers must prove, asked for each connection; undefined = nothing. */
  readonly guard?: () => Guard | undefined;
  /** For requests, from their arrival to their end. */
  readonly memory: MemoryBudget;
  readonly log: Logger;
  /** Requests refused because streams, places or memory are used up. */
  readonly rejections: Counter;
  readonly tracer: Tracer;
  readonly now: () => number;
}

/** All connections and running requests of one process. */
export interface PushServer {
  /** Serve `path` until `remove`; `withdraw` says so beforehand. `running` counts requests, those that wait too. */
  add(endpoint: ServedEndpoint): {
    withdraw(): void;
    remove(): void;
    running(): number;
    idle(): Promise<void>;
    kill(cause: RuntimeError): void;
  };
  /** Takes ownership of a socket after its preface. `admit` is called once the peer has proven itself; what it throws ends the connection. */
  accept(socket: Socket, head: Buffer, admit?: () => void): void;
  /** Tell every peer that no new request is taken. */
  goAway(reason: string): void;
  /** Close every connection, and those to come. */
  close(): void;
}

interface Shared {
  readonly options: PushServerOptions;
  readonly endpoints: Map<string, ServedEndpoint>;
  readonly running: Map<string, Set<ServerStream>>;
  readonly pauses: Pauses;
  /** Wakes when a request has ended. */
  readonly gate: ReturnType<typeof createGate>;
}

export function createPushServer(options: PushServerOptions): PushServer {
  const shared: Shared = {
    options,
    endpoints: new Map(),
    running: new Map(),
    pauses: createPauses(),
    gate: createGate(),
  };
  const connections = new Set<ServerConnection>();
  const withdrawn = new Set<string>();
  let leaving: string | undefined;
  let isClosed = false;
  return {
    add(endpoint) {
      const { path } = endpoint;
      if (shared.endpoints.has(path))
        throw new RuntimeError(
          "invalid_argument",
          `${path} is served by this runtime already; a second handler or model needs an endpoint of its own`,
        );
      shared.endpoints.set(path, endpoint);
      withdrawn.delete(path);
      const streams = new Set<ServerStream>();
      shared.running.set(path, streams);
      return {
        withdraw() {
          remember(withdrawn, path);
          for (const connection of connections) connection.withdraw(path);
        },
        remove() {
          shared.endpoints.delete(path);
          shared.running.delete(path);
        },
        running: () => streams.size,
        idle: () => shared.gate.until(() => streams.size === 0),
        kill(cause) {
          for (const stream of streams) stream.abort(cause);
        },
      };
    },
    accept(socket, head, admit = () => undefined) {
      if (isClosed) return void socket.destroy();
      const connection = new ServerConnection(socket, head, shared, {
        onOpen: admit,
        onGone: () => connections.delete(connection),
      });
      connections.add(connection);
      if (leaving !== undefined) connection.goAway(leaving);
      else for (const path of withdrawn) connection.withdraw(path);
    },
    goAway(reason) {
      leaving = reason;
      for (const connection of connections) connection.goAway(reason);
    },
    close() {
      isClosed = true;
      for (const connection of connections) connection.end();
    },
  };
}

// The oldest is forgotten: nobody keeps asking for it.
function remember(withdrawn: Set<string>, path: string): void {
  withdrawn.add(path);
  const [oldest] = withdrawn;
  if (withdrawn.size > maxWithdrawn && oldest !== undefined) withdrawn.delete(oldest);
}

interface Owner {
  readonly onOpen: () => void;
  readonly onGone: () => void;
}

class ServerConnection {
  #connection: Connection;
  #streams = new Map<number, ServerStream>();
  #lastId = 0;
  #goneAway = false;
  #isGuarded: boolean;
  #shared: Shared;

  constructor(socket: Socket, head: Buffer, shared: Shared, { onOpen, onGone }: Owner) {
    this.#shared = shared;
    const { hello, helloTimeoutMs, pingIntervalMs, memory } = shared.options;
    const events: ConnectionEvents = {
      onOpen,
      onFrame: (type, streamId, body) => this.#frame(type, streamId, body),
      onRefused: (type, streamId, error) => this.#passedOver(type, streamId, error),
      onPong: () => undefined,
      onChunkEnd: () => undefined,
      onDrain: () => {
        for (const stream of this.#streams.values()) stream.wake();
      },
      onClose: (cause) => {
        this.#closed(cause);
        onGone();
      },
    };
    const guard = shared.options.guard?.();
    this.#isGuarded = guard !== undefined;
    this.#connection = new Connection(
      socket,
      { role: "listener", memory, hello, helloTimeoutMs, pingIntervalMs, guard, head },
      events,
    );
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

  end(): void {
    this.#connection.end();
  }

  #closed(cause: RuntimeError | undefined): void {
    const { log } = this.#shared.options;
    const fields = { remote: this.#connection.remote, streams: this.#streams.size };
    const message = "connection ended with an error";
    // Nobody has lost anything if a caller goes while nothing is under way.
    const level = cause?.code === "disconnected" && this.#streams.size === 0 ? "info" : "warn";
    if (!cause) log.debug(fields, "connection closed");
    else if (this.#streams.size > 0) log[level]({ ...fields, error: cause.message, "error.type": cause.code }, message);
    else
      log.summed(level, { ...fields, error: cause.message, "error.type": cause.code }, message, { kind: cause.code });
    const reason = new RuntimeError("cancelled", "the client's connection is gone", { cause });
    for (const stream of this.#streams.values()) stream.abort(reason);
  }

  #frame(type: FrameType, streamId: number, body: Buffer): void {
    if (type === frameTypes.GOAWAY && streamId === 0) return; // the dialler will send no more requests; nothing to prepare for
    if (streamId === 0) throw new RuntimeError("protocol", `${frameTypeName(type)} on stream 0`);
    if (type === frameTypes.REQUEST) return this.#request(streamId, body);
    if (type !== frameTypes.CANCEL && type !== frameTypes.CREDIT) {
      throw new RuntimeError("protocol", `${frameTypeName(type)} is not for the listening side`);
    }
    if (streamId > this.#lastId)
      throw new RuntimeError("protocol", `${frameTypeName(type)} on stream ${streamId}, which was never opened`);
    const stream = this.#streams.get(streamId);
    if (!stream) return; // it ended while this frame was under way
    if (type === frameTypes.CREDIT) return stream.grant(decodeCredit(body));
    const mode = decodeCancel(body);
    if (mode === "stop") stream.stop();
    else stream.abort(new RuntimeError("cancelled", "cancelled by the client"));
  }

  // Its caller sends the rest of it all the same.
  #passedOver(type: FrameType, streamId: number, error: RuntimeError): void {
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
    const { endpoints, running, pauses, gate, options } = this.#shared;
    let request: RequestMessage | undefined;
    let place: Place | undefined;
    const share = options.memory.open();
    try {
      share.take(requestFactor * body.length + requestBytes);
      request = decodeRequest(Buffer.from(body)); // its payload outlives this frame's chunk
      const endpoint = endpoints.get(request.path);
      if (this.#goneAway) throw new RuntimeError("unavailable", "this worker is draining");
      if (!endpoint)
        throw new RuntimeError("unavailable", `this worker does not serve ${request.path}`, {
          publicMessage: "this worker does not serve the endpoint",
        });
      if (this.#streams.size >= options.hello.max_streams)
        throw new RuntimeError(
          "overloaded",
          `${countOf(this.#streams.size, "stream is", "streams are")} open, the limit`,
        );
      const stream = new ServerStream(this.#connection, streamId, request.credit);
      place = endpoint.admission.enter();
      const ofEndpoint = running.get(request.path);
      this.#streams.set(streamId, stream);
      ofEndpoint?.add(stream);
      void runRequest(stream, request, { endpoint, place, pauses, now: options.now, tracer: options.tracer }).finally(
        () => {
          place?.[Symbol.dispose]();
          share[Symbol.dispose]();
          this.#streams.delete(streamId);
          ofEndpoint?.delete(stream);
          gate.wake();
        },
      );
    } catch (error) {
      share[Symbol.dispose]();
      this.#refuse(streamId, request, toRuntimeError(error));
    }
  }

  #refuse(
    streamId: number,
    request: RequestMessage | undefined,
    { code, message, publicMessage, traits }: RuntimeError,
  ): void {
    const said = publicMessage ?? message;
    encodeError(this.#connection.writer, streamId, {
      code,
      message: said,
      retryable: traits.retryable,
      produced: false,
    });
    this.#connection.flushSoon();
    const { hello, log, rejections } = this.#shared.options;
    if (code === "overloaded") rejections.inc();
    const ids = request && {
      ...toLogFields(fromPlaneHeaders(request.headers), "handle_payload"),
      attempt: request.attempt,
      instance_id: hello.instance_id,
    };
    log.warn({ ...ids, remote: this.#connection.remote, "error.type": code, error: message }, "request refused");
  }
}
