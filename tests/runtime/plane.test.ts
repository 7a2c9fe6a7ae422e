// The plane between two runtimes over real sockets, and against peers that mean no good.
import { connect, createServer, type AddressInfo, type Socket } from "node:net";
import { describe, expect, test } from "vitest";
import { RuntimeError } from "../../packages/runtime/src/errors.ts";
import { createMemorySpace, createRuntime, type Client, type RequestContext, type Logger, type Runtime } from "../../packages/runtime/src/index.ts";
import { createMemoryDiscovery } from "../../packages/runtime/src/discovery/memory.ts";
import { createLogger } from "../../packages/runtime/src/logging/logger.ts";
import { FrameWriter } from "../../packages/runtime/src/wire/frame-writer.ts";
import { FrameDecoder, frameTypes, preface } from "../../packages/runtime/src/wire/frames.ts";
import { encodeDeltaItem } from "../../packages/runtime/src/wire/items.ts";
import * as messages from "../../packages/runtime/src/wire/messages.ts";
import { encodePayload } from "../../packages/runtime/src/wire/payload.ts";
import { eventually } from "../cluster.ts";

const address = "dyn://test.echo.generate";
const path = "test/echo/generate";
const config = { discoveryBackend: "mem", connectTimeoutMs: 500, pingIntervalMs: 100, drainTimeoutMs: 2_000 } as const;

interface Ask {
  readonly count: number;
  readonly size?: number;
  readonly fail?: boolean;
}

interface Pair extends AsyncDisposable {
  readonly server: Runtime;
  readonly client: Client<Ask, unknown>;
  readonly port: number;
  /** How many items handlers have yielded. */
  yielded(): number;
  contexts: RequestContext<Logger>[];
}

async function startPair(): Promise<Pair> {
  const memorySpace = createMemorySpace();
  const log = createLogger({ sink: () => undefined });
  const server = await createRuntime({ config, memorySpace, log });
  const caller = await createRuntime({ config, memorySpace, log });
  let yielded = 0;
  const contexts: RequestContext<Logger>[] = [];
  const serving = await server.endpoint(address).serve(async function* ({ count, size = 1, fail = false }: Ask, context) {
    contexts.push(context);
    for (let index = 0; index < count; index += 1) {
      yielded += 1;
      yield { index, fill: "x".repeat(size) };
    }
    if (fail) throw new Error("secret detail");
    if (count === 0) await new Promise((resolve) => context.signal.addEventListener("abort", resolve));
  });
  return {
    server,
    client: caller.client<Ask, unknown>(address),
    port: Number(serving.address.split(":")[1]),
    yielded: () => yielded,
    contexts,
    async [Symbol.asyncDispose]() {
      await caller[Symbol.asyncDispose]();
      await server[Symbol.asyncDispose]();
    },
  };
}

async function collect(items: AsyncIterable<unknown>): Promise<unknown[]> {
  const all: unknown[] = [];
  for await (const item of items) all.push(item);
  return all;
}

async function failureOf(work: Promise<unknown>): Promise<RuntimeError> {
  const error: unknown = await work.then(
    () => new Error("it succeeded"),
    (reason: unknown) => reason,
  );
  if (error instanceof RuntimeError) return error;
  throw error;
}

describe("between runtimes", () => {
  test("thousands of items arrive in order, many streams at a time", async () => {
    await using pair = await startPair();
    const answers = await Promise.all(Array.from({ length: 20 }, () => collect(pair.client.generate({ count: 2_000 }))));
    for (const answer of answers) expect(answer.map((item) => (item as { index: number }).index)).toEqual([...Array(2_000).keys()]);
  });

  test("items larger than the window arrive", async () => {
    await using pair = await startPair();
    expect(await collect(pair.client.generate({ count: 4, size: 700_000 }))).toHaveLength(4);
  });

  test("a reader that stops holds its own stream at the engine, not its neighbours", async () => {
    await using pair = await startPair();
    const slow = pair.client.generate({ count: 100_000, size: 1_000 }).batches();
    await slow.next();
    const held = await eventually("the engine being held", async () => {
      const before = pair.yielded();
      await collect(pair.client.generate({ count: 1 }));
      return pair.yielded() === before + 1 && before;
    });
    expect(held).toBeLessThan(2_000);
    await slow.return();
  });

  test("leaving the loop aborts the engine's signal", async () => {
    await using pair = await startPair();
    for await (const _ of pair.client.generate({ count: 1_000_000 })) break;
    await eventually("the abort", () => pair.contexts[0]?.signal.aborted);
  });

  test("an aborted signal rejects with its meaning and reaches the engine", async () => {
    await using pair = await startPair();
    const aborter = new AbortController();
    const answer = failureOf(collect(pair.client.generate({ count: 0 }, { signal: aborter.signal })));
    await eventually("the request", () => pair.contexts.length === 1);
    aborter.abort();
    expect((await answer).code).toBe("cancelled");
    await eventually("the abort", () => pair.contexts[0]?.signal.aborted);
  });

  test("a timeout travels to the worker", async () => {
    await using pair = await startPair();
    expect((await failureOf(collect(pair.client.generate({ count: 0 }, { timeoutMs: 50 })))).code).toBe("deadline_exceeded");
    await eventually("the abort", () => pair.contexts[0]?.signal.aborted);
  });

  test("an engine that throws ends its request with a typed error that keeps its secret", async () => {
    await using pair = await startPair();
    const error = await failureOf(collect(pair.client.generate({ count: 3, fail: true })));
    expect(error.code).toBe("internal");
    expect(error.message).not.toContain("secret");
    expect(await collect(pair.client.generate({ count: 1 }))).toHaveLength(1);
  });

  test("the worker's trailer says which ids it saw", async () => {
    await using pair = await startPair();
    const answer = pair.client.generate({ count: 2 }, { xRequestId: "mine" });
    await collect(answer);
    expect(answer.trailer).toMatchObject({
      items: 2,
      seen: { request_id: answer.requestId, x_request_id: "mine", attempt: 0, instance_id: pair.server.instanceId },
    });
  });

  test("a draining worker finishes what runs and takes no more", async () => {
    const pair = await startPair();
    const batches = pair.client.generate({ count: 50_000, size: 100 }).batches();
    let items = (await batches.next()).value?.length ?? 0;
    const closing = pair.server[Symbol.asyncDispose]();
    for await (const batch of batches) items += batch.length;
    expect(items).toBe(50_000);
    await closing;
    expect((await failureOf(collect(pair.client.generate({ count: 1 })))).code).toBe("unavailable");
    await pair[Symbol.asyncDispose]();
  });
});

/** A raw peer that can say anything. */
interface RawPeer extends Disposable {
  send(build: (writer: FrameWriter) => void): void;
  sendBytes(bytes: Buffer): void;
  /** Frames received so far. */
  readonly frames: { type: number; id: number; body: Buffer }[];
  readonly isClosed: boolean;
  readonly socket: Socket;
}

function rawPeer(socket: Socket, skipPreface: boolean): RawPeer {
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

const hello: messages.Hello = { version: 1, agent: "test", capabilities: [], max_frame_bytes: 1 << 26, max_streams: 100 };
const request = { path, headers: {}, attempt: 0, deadlineMs: 0, credit: 262_144, payload: encodePayload({ count: 1 }) };
const frame = (hex: string): Buffer => Buffer.from(hex, "hex");
const greeting = (): Buffer => {
  const writer = new FrameWriter();
  messages.encodeHello(writer, hello);
  return Buffer.concat([preface, ...writer.take()]);
};

describe("a hostile dialler costs its own connection and nobody else anything", () => {
  const attacks: [string, (peer: RawPeer) => void, string?][] = [
    ["random bytes", (peer) => peer.sendBytes(Buffer.from("GET / HTTP/1.1\r\n\r\n"))],
    ["half a preface and silence", (peer) => peer.sendBytes(preface.subarray(0, 4))],
    ["a preface and silence", (peer) => peer.sendBytes(preface), "no HELLO"],
    ["a preface and garbage", (peer) => peer.sendBytes(Buffer.concat([preface, Buffer.alloc(100, 0xee)])), "unknown frame type"],
    ["a frame of 4 GiB", (peer) => peer.sendBytes(Buffer.concat([greeting(), frame("ffffffff0200000001")])), "too_large"],
    ["a HELLO larger than 4096 bytes", (peer) => peer.sendBytes(Buffer.concat([preface, frame("000010010100000000")])), "too_large"],
    [
      "a HELLO of another version",
      (peer) => peer.send((writer) => (writer.bytes(preface), messages.encodeHello(writer, { ...hello, version: 2 as 1 }))),
      "version 2",
    ],
    [
      "a REQUEST before HELLO",
      (peer) => peer.send((writer) => (writer.bytes(preface), messages.encodeRequest(writer, 1, request))),
      "REQUEST before HELLO",
    ],
    ["a second HELLO", (peer) => peer.sendBytes(Buffer.concat([greeting(), greeting().subarray(preface.length)])), "second HELLO"],
    [
      "a REQUEST on stream 0",
      (peer) => (peer.sendBytes(greeting()), peer.send((writer) => messages.encodeRequest(writer, 0, request))),
      "on stream 0",
    ],
    [
      "a reused stream id",
      (peer) => (
        peer.sendBytes(greeting()),
        peer.send((writer) => (messages.encodeRequest(writer, 2, request), messages.encodeRequest(writer, 1, request)))
      ),
      "reuses stream 1",
    ],
    [
      "CREDIT for a stream never opened",
      (peer) => (peer.sendBytes(greeting()), peer.send((writer) => messages.encodeCredit(writer, 9, 1))),
      "never opened",
    ],
    ["ITEMS to a listener", (peer) => (peer.sendBytes(greeting()), peer.sendBytes(frame("000000000300000001"))), "not for the listening side"],
    ["a PING of 7 bytes", (peer) => (peer.sendBytes(greeting()), peer.sendBytes(frame("000000070800000000" + "00".repeat(7)))), "not 8 bytes"],
  ];

  test.each(attacks)("%s", async (_name, attack, reason) => {
    await using pair = await startPair();
    using peer = rawPeer(connect(pair.port, "127.0.0.1"), false);
    attack(peer);
    await eventually("the connection ending", () => peer.isClosed);
    if (reason !== undefined) {
      const last = peer.frames.at(-1);
      expect(last).toMatchObject({ type: frameTypes.ERROR, id: 0 });
      const { code, message } = messages.decodeError(last?.body ?? Buffer.alloc(0));
      expect(`${code}: ${message}`).toContain(reason);
    }
    expect(await collect(pair.client.generate({ count: 3 }))).toHaveLength(3);
  });

  test.each<[string, messages.RequestMessage, string]>([
    ["an unknown path", { ...request, path: "no/such/thing" }, "unavailable"],
    ["a payload that is no msgpack", { ...request, payload: frame("c1") }, "protocol"],
  ])("%s costs only its stream", async (_name, bad, code) => {
    await using pair = await startPair();
    using peer = rawPeer(connect(pair.port, "127.0.0.1"), false);
    peer.sendBytes(greeting());
    peer.send((writer) => (messages.encodeRequest(writer, 1, bad), messages.encodeRequest(writer, 2, request)));
    await eventually("both endings", () => peer.frames.filter(({ type }) => type === frameTypes.END || type === frameTypes.ERROR).length === 2);
    expect(messages.decodeError(peer.frames.find(({ id }) => id === 1)?.body ?? Buffer.alloc(0)).code).toBe(code);
    expect(peer.frames.filter(({ id }) => id === 2).map(({ type }) => type)).toEqual([frameTypes.ITEMS, frameTypes.END]);
    expect(peer.isClosed).toBe(false);
  });

  test("a truncated REQUEST costs only its stream", async () => {
    await using pair = await startPair();
    using peer = rawPeer(connect(pair.port, "127.0.0.1"), false);
    peer.sendBytes(Buffer.concat([greeting(), frame("0000000202000000010005")]));
    const answer = await eventually("the error", () => peer.frames.find(({ type }) => type === frameTypes.ERROR));
    expect(answer.id).toBe(1);
    expect(messages.decodeError(answer.body).code).toBe("protocol");
  });

  test("a peer that never reads holds its engine and little memory", async () => {
    await using pair = await startPair();
    const socket = connect(pair.port, "127.0.0.1");
    socket.pause();
    socket.write(greeting());
    const writer = new FrameWriter();
    const endless = { ...request, payload: encodePayload({ count: 10_000_000, size: 1_000 }), credit: 2 ** 31 - 1 };
    messages.encodeRequest(writer, 1, endless);
    socket.write(Buffer.concat(writer.take()));
    const held = await eventually("the engine being held", async () => {
      const before = pair.yielded();
      await collect(pair.client.generate({ count: 1 }));
      return before > 1 && pair.yielded() === before + 1 && before;
    });
    expect(held).toBeLessThan(20_000);
    socket.destroy();
    await eventually("the abort", () => pair.contexts[0]?.signal.aborted);
  });

  test("a thousand idle connections end by themselves", { timeout: 20_000 }, async () => {
    await using pair = await startPair();
    expect(await collect(pair.client.generate({ count: 1 }))).toHaveLength(1);
    const peers = Array.from({ length: 1_000 }, () => rawPeer(connect(pair.port, "127.0.0.1"), false));
    expect(await collect(pair.client.generate({ count: 3 }))).toHaveLength(3);
    await eventually("all of them ending", () => peers.every(({ isClosed }) => isClosed));
  });

  test("a peer that falls silent after HELLO is found by heartbeat", async () => {
    await using pair = await startPair();
    using peer = rawPeer(connect(pair.port, "127.0.0.1"), false);
    peer.sendBytes(greeting());
    await eventually("the end", () => peer.isClosed);
    expect(peer.frames.some(({ type }) => type === frameTypes.PING)).toBe(true);
    expect(messages.decodeError(peer.frames.at(-1)?.body ?? Buffer.alloc(0)).message).toContain("nothing heard");
  });
});

interface HostileWorker extends AsyncDisposable {
  readonly client: Client<Ask, unknown>;
}

const instanceId = 77n;

async function startHostileWorker(behave: (peer: RawPeer, id: number) => void, greets = "77"): Promise<HostileWorker> {
  const space = createMemorySpace();
  const sockets = new Set<Socket>();
  const server = createServer((socket) => {
    sockets.add(socket);
    const peer = rawPeer(socket, true);
    peer.send((writer) => messages.encodeHello(writer, { ...hello, instance_id: greets }));
    let answered = 0;
    socket.on("data", () => {
      const requests = peer.frames.filter(({ type }) => type === frameTypes.REQUEST);
      for (; answered < requests.length; answered += 1) behave(peer, requests[answered]?.id ?? 0);
    });
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const { port } = server.address() as AddressInfo;
  const discovery = createMemoryDiscovery(space);
  await discovery.publish({
    type: "Endpoint",
    namespace: "test",
    component: "echo",
    endpoint: "generate",
    instance_id: instanceId,
    transport: { tcp: `127.0.0.1:${port}/x` },
    dyn_plane: 1,
  });
  const runtime = await createRuntime({ config, memorySpace: space, log: createLogger({ sink: () => undefined }) });
  return {
    client: runtime.client<Ask, unknown>(address),
    async [Symbol.asyncDispose]() {
      await runtime[Symbol.asyncDispose]();
      for (const socket of sockets) socket.destroy();
      server.close();
    },
  };
}

function sendItem(peer: RawPeer, id: number, text: string): void {
  peer.send((writer) => {
    const mark = writer.beginItems(id);
    encodeDeltaItem(writer, { text });
    writer.endItems(id, mark);
  });
}

describe("a hostile worker costs the request a clear error", () => {
  const trailer = { seen: {} as never, items: 0, elapsed_ms: 0 };
  test.each<[string, (peer: RawPeer, id: number) => void, string]>([
    ["that closes in mid-stream", (peer, id) => (sendItem(peer, id, "a"), peer.socket.end()), "disconnected"],
    ["that resets", (peer) => peer.socket.resetAndDestroy(), "disconnected"],
    ["with items for a stream never opened", (peer, id) => sendItem(peer, id + 5, "a"), "disconnected"],
    ["with garbage items", (peer, id) => peer.sendBytes(frame(`00000001030000000${id}09`)), "protocol"],
    ["with a REQUEST of its own", (peer, id) => peer.send((writer) => messages.encodeRequest(writer, id, request)), "protocol"],
    [
      "with an unknown error code",
      (peer, id) =>
        peer.send((writer) => messages.encodeError(writer, id, { code: "weird" as "internal", message: "x", retryable: false, produced: false })),
      "internal",
    ],
    ["that sends beyond its credit", (peer, id) => Array.from({ length: 40 }, () => sendItem(peer, id, "x".repeat(20_000))), "protocol"],
  ])("%s", async (_name, behave, code) => {
    await using worker = await startHostileWorker(behave);
    const batches = worker.client.generate({ count: 1 }).batches();
    const drainSlowly = async (): Promise<void> => {
      for await (const _ of batches) await new Promise((resolve) => setTimeout(resolve, 50));
    };
    expect((await failureOf(drainSlowly())).code).toBe(code);
  });

  test("under another instance's id is not spoken to", async () => {
    await using worker = await startHostileWorker(() => undefined, "78");
    expect((await failureOf(collect(worker.client.generate({ count: 1 })))).message).toContain("is instance 78, expected 77");
  });

  test("that says nothing at all runs into the time limit", async () => {
    await using worker = await startHostileWorker(() => undefined);
    expect((await failureOf(collect(worker.client.generate({ count: 1 }, { timeoutMs: 100 })))).code).toBe("deadline_exceeded");
  });

  test("with frames after END loses nothing and gains nothing", async () => {
    await using worker = await startHostileWorker((peer, id) => {
      sendItem(peer, id, "a");
      peer.send((writer) => messages.encodeEnd(writer, id, trailer));
      sendItem(peer, id, "b");
      peer.send((writer) => messages.encodeEnd(writer, id, trailer));
    });
    expect(await collect(worker.client.generate({ count: 1 }))).toEqual([{ text: "a" }]);
    expect(await collect(worker.client.generate({ count: 1 }))).toEqual([{ text: "a" }]);
  });
});
