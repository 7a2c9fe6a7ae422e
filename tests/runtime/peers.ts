/** Fixtures of the plane's tests: two runtimes in one memory space, and a raw peer that can say anything. */
import { mkdtemp, rm } from "node:fs/promises";
import { connect, createServer, type Socket } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { RuntimeError } from "../../packages/runtime/src/errors.ts";
import {
  createMemorySpace,
  createRuntime,
  type Client,
  type Handler,
  type RequestContext,
  type Runtime,
  type RuntimeConfig,
} from "../../packages/runtime/src/index.ts";
import { createMemoryBudget } from "../../packages/runtime/src/memory-budget.ts";
import { createRuntimeMetrics } from "../../packages/runtime/src/metrics/runtime-metrics.ts";
import { createLogger } from "../support/logger.ts";
import { FrameWriter } from "../../packages/runtime/src/wire/frame-writer.ts";
import { FrameDecoder, preface } from "../../packages/runtime/src/wire/frames.ts";
import { encodeHello, type Hello } from "../../packages/runtime/src/wire/hello.ts";
import { encodePayload } from "../../packages/runtime/src/wire/payload.ts";
import type { Line } from "../support/cluster.ts";

/** More than any test takes. */
export const memory = createMemoryBudget(1_024 * 1024 * 1024, createRuntimeMetrics().memory);
export const address = "dyn://test.echo.generate";
export const path = "test/echo/generate";
/** Its ping interval is short, so that the silence of a peer is found. */
export const config = {
  discoveryBackend: "mem",
  tcpConnectTimeoutMs: 60_000,
  tcpPingIntervalMs: 1_000,
  drainTimeoutMs: 60_000,
} as const;

export interface Ask {
  readonly count: number;
  readonly size?: number;
  readonly fail?: boolean;
}

export interface Pair extends AsyncDisposable {
  readonly server: Runtime;
  readonly caller: Runtime;
  readonly client: Client<Ask, unknown>;
  /** A client of another process, as it were: it has a connection of its own. */
  openClient(): Promise<Client<Ask, unknown>>;
  readonly port: number;
  /** How many items handlers have yielded. */
  yielded(): number;
  contexts: RequestContext[];
  /** What both runtimes have logged. */
  readonly lines: Line[];
  /** Of these, the worker's. */
  readonly workerLines: Line[];
}

export interface PairOptions {
  readonly worker?: Partial<RuntimeConfig>;
  readonly caller?: Partial<RuntimeConfig>;
  /** Default: an echo that yields `count` items and can fail. */
  readonly handler?: Handler<Ask, unknown>;
}

export async function startPair(more: PairOptions = {}): Promise<Pair> {
  const memorySpace = createMemorySpace();
  const lines: Line[] = [];
  const workerLines: Line[] = [];
  const callerLog = createLogger({ sink: (record) => lines.push(record) });
  const workerLog = createLogger({ sink: (record) => (lines.push(record), workerLines.push(record)) });
  const server = await createRuntime({ config: { ...config, ...more.worker }, memorySpace, log: workerLog.pino });
  const openCaller = (): Promise<Runtime> =>
    createRuntime({ config: { ...config, ...more.caller }, memorySpace, log: callerLog.pino });
  const caller = await openCaller();
  const others: Runtime[] = [];
  const openClient = async (): Promise<Client<Ask, unknown>> => {
    const other = await openCaller();
    others.push(other);
    return other.client<Ask, unknown>(address);
  };
  let yielded = 0;
  const contexts: RequestContext[] = [];
  const echo: Handler<Ask, unknown> = async function* ({ count, size = 1, fail = false }, context) {
    contexts.push(context);
    for (let index = 0; index < count; index += 1) {
      yielded += 1;
      yield { index, fill: "x".repeat(size) };
    }
    if (fail) throw new Error("secret detail");
    if (count === 0) await new Promise((resolve) => context.signal.addEventListener("abort", resolve));
  };
  const serving = await server.endpoint(address).serve(more.handler ?? echo);
  return {
    server,
    caller,
    client: caller.client<Ask, unknown>(address),
    openClient,
    port: Number(serving.address.split(":")[1]),
    yielded: () => yielded,
    contexts,
    lines,
    workerLines,
    async [Symbol.asyncDispose]() {
      for (const each of [caller, ...others]) await each[Symbol.asyncDispose]();
      await server[Symbol.asyncDispose]();
    },
  };
}

export async function collect(items: AsyncIterable<unknown>): Promise<unknown[]> {
  const all: unknown[] = [];
  for await (const item of items) all.push(item);
  return all;
}

export async function failureOf(work: Promise<unknown>): Promise<RuntimeError> {
  const error: unknown = await work.then(
    () => new Error("it succeeded"),
    (reason: unknown) => reason,
  );
  if (error instanceof RuntimeError) return error;
  throw error;
}

/** A raw peer that can say anything. */
export interface RawPeer extends Disposable {
  send(build: (writer: FrameWriter) => void): void;
  sendBytes(bytes: Buffer): void;
  /** Frames received so far. */
  readonly frames: { type: number; id: number; body: Buffer }[];
  readonly isClosed: boolean;
  readonly socket: Socket;
}

export function rawPeer(socket: Socket, skipPreface: boolean): RawPeer {
  const decoder = new FrameDecoder(1 << 26);
  const frames: RawPeer["frames"] = [];
  let skip = skipPreface ? preface.length : 0;
  let isClosed = false;
  socket.on("data", (chunk: Buffer) => {
    const from = Math.min(skip, chunk.length);
    skip -= from;
    decoder.push(chunk.subarray(from), (type, id, body) => frames.push({ type, id, body: Buffer.from(body) }));
  });
  socket.on("error", () => undefined);
  socket.on("close", () => (isClosed = true));
  return {
    send(build) {
      const writer = new FrameWriter();
      build(writer);
      socket.write(Buffer.concat(writer.take()));
    },
    sendBytes: (bytes) => void socket.write(bytes),
    frames,
    get isClosed() {
      return isClosed;
    },
    socket,
    [Symbol.dispose]: () => void socket.destroy(),
  };
}

export const hello: Hello = { version: 1, agent: "test", capabilities: [], max_frame_bytes: 1 << 26, max_streams: 100 };
export const request = {
  path,
  headers: {},
  attempt: 0,
  deadlineMs: 0,
  credit: 262_144,
  payload: encodePayload({ count: 1 }),
};
export const frame = (hex: string): Buffer => Buffer.from(hex, "hex");
export const greeting = (): Buffer => {
  const writer = new FrameWriter();
  encodeHello(writer, hello);
  return Buffer.concat([preface, ...writer.take()]);
};

/** Two ends of a connection. */
export interface Ends extends AsyncDisposable {
  /** The end under test. */
  readonly near: Socket;
  /** Paused: resume it to read. */
  readonly far: Socket;
}

// A socket of the file system: the kernel holds 200 KB of it, not the megabytes of TCP.
export async function openEnds(): Promise<Ends> {
  const directory = await mkdtemp(join(tmpdir(), "dyn-ends-"));
  const { promise, resolve } = Promise.withResolvers<Socket>();
  const server = createServer(resolve);
  await new Promise<void>((listening) => server.listen(join(directory, "socket"), listening));
  const far = connect(join(directory, "socket"));
  far.pause();
  far.on("error", () => undefined);
  const near = await promise;
  return {
    near,
    far,
    async [Symbol.asyncDispose]() {
      near.destroy();
      far.destroy();
      server.close();
      await rm(directory, { recursive: true, force: true, maxRetries: 5 });
    },
  };
}
