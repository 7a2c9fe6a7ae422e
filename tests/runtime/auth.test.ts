// The shared token of the plane: who knows it is served, who does not gets a refusal and nothing else.
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { connect, createServer, type AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { createMemoryDiscovery } from "../../packages/runtime/src/discovery/memory.ts";
import { parseAddress, toEndpointRecord } from "../../packages/runtime/src/discovery/records.ts";
import { createPushServer } from "../../packages/runtime/src/ingress/push-endpoint.ts";
import {
  createMemorySpace,
  createRuntime,
  createRuntimeMetrics,
  type Logger,
  type Runtime,
  type RuntimeConfig,
} from "../../packages/runtime/src/index.ts";
import { parseLogFilter } from "../../packages/runtime/src/logging/filter.ts";
import { createLogger } from "../../packages/runtime/src/logging/logger.ts";
import { parseTokens, proveToken } from "../../packages/runtime/src/net/auth.ts";
import { listen } from "../../packages/runtime/src/net/listener.ts";
import { offTracer } from "../../packages/runtime/src/trace/spans.ts";
import type { FrameWriter } from "../../packages/runtime/src/wire/frame-writer.ts";
import { frameTypes, preface } from "../../packages/runtime/src/wire/frames.ts";
import { decodeHello, encodeHello, type Hello } from "../../packages/runtime/src/wire/hello.ts";
import * as messages from "../../packages/runtime/src/wire/messages.ts";
import { encodeAuth } from "../../packages/runtime/src/wire/proof.ts";
import { eventually } from "../cluster.ts";
import { address, collect, config, failureOf, hello, rawPeer, request, type RawPeer } from "./peers.ts";

const token = "a token of nobody".replaceAll(" ", "-");
const other = "quite-another-token";

interface Members extends AsyncDisposable {
  readonly port: number;
  ask(): Promise<unknown[]>;
  readonly lines: Record<string, unknown>[];
}

async function startMembers(worker: Partial<RuntimeConfig>, caller: Partial<RuntimeConfig>): Promise<Members> {
  const memorySpace = createMemorySpace();
  const lines: Record<string, unknown>[] = [];
  const log: Logger = createLogger({ sink: (record) => void lines.push(record), filter: parseLogFilter("trace") });
  const start = (more: Partial<RuntimeConfig>): Promise<Runtime> =>
    createRuntime({ config: { ...config, connectTimeoutMs: 5_000, ...more }, memorySpace, log, environment: {} });
  const [server, asking] = await Promise.all([start(worker), start(caller)]);
  const serving = await server.endpoint(address).serve(async function* () {
    yield "hello";
  });
  const client = asking.client<object, unknown>(address);
  await client.waitForInstances();
  return {
    port: Number(serving.address.split(":")[1]),
    ask: () => collect(client.generate({})),
    lines,
    async [Symbol.asyncDispose]() {
      await asking[Symbol.asyncDispose]();
      await server[Symbol.asyncDispose]();
    },
  };
}

test("two that know the token talk, and neither the token nor a proof is in a log", async () => {
  await using members = await startMembers({ planeToken: token }, { planeToken: token });
  expect(await members.ask()).toEqual(["hello"]);
  expect(JSON.stringify(members.lines)).not.toContain(token);
});

test.each<[string, Partial<RuntimeConfig>, Partial<RuntimeConfig>, string]>([
  ["a caller without a token", { planeToken: token }, {}, "the peer asks for a plane token, and none is set here"],
  ["a worker without a token", {}, { planeToken: token }, "the listener offers no proof of the plane token"],
  ["a caller with another token", { planeToken: token }, { planeToken: other }, "the dialler has another plane token"],
])("%s fails before a request is sent, with one warning at each end", async (_name, worker, caller, reason) => {
  await using members = await startMembers(worker, caller);
  const failure = await failureOf(members.ask());
  expect(failure.code).toBe("cannot_connect");
  expect(failure.message).toContain(reason);
  const ended = await eventually("the listener's line", () => members.lines.find(({ message }) => message === "connection ended with an error"));
  expect(ended).toMatchObject({ level: "WARN" });
  expect(JSON.stringify(ended)).toContain("plane token");
  const warnings = members.lines.filter(({ level, target }) => level === "WARN" && target !== "request_span");
  expect(warnings.map(({ message }) => String(message)).toSorted((left, right) => (left < right ? -1 : 1))).toEqual([
    "connection ended with an error",
    "instance cannot be reached, its circuit is open",
  ]);
  expect(members.lines.some(({ message }) => message === "request received")).toBe(false);
  expect(JSON.stringify(members.lines)).not.toMatch(new RegExp(`${token}|${other}`));
});

test("a token is replaced in the file without a gap, and without a restart", async () => {
  const directory = mkdtempSync(join(tmpdir(), "dyn-token-"));
  const [worker, caller] = [join(directory, "worker"), join(directory, "caller")];
  try {
    for (const file of [worker, caller]) writeFileSync(file, `# of the plane\n${token}\n`);
    await using members = await startMembers({ planeTokenFile: worker }, { planeTokenFile: caller });
    expect(await members.ask()).toEqual(["hello"]);
    const reloaded = (count: number): Promise<boolean> =>
      eventually("the reload", () => members.lines.filter(({ message }) => message === "plane tokens reloaded").length === count);
    writeFileSync(worker, `${other}\n${token}\n`); // the worker knows both, the caller proves the old one
    await reloaded(1);
    for (const known of [token, other]) expect(await dial(members.port, known)).toBe("open");
    writeFileSync(worker, "short\n");
    await eventually("the warning", () => members.lines.some(({ message }) => message === "plane tokens cannot be reloaded, the last one stays"));
    expect(JSON.stringify(members.lines)).not.toContain("short\\n");
    writeFileSync(worker, `${other}\n`);
    await reloaded(2);
    expect(await dial(members.port, other)).toBe("open");
    expect(await dial(members.port, token)).toContain("unauthenticated");
  } finally {
    rmSync(directory, { recursive: true, force: true });
  }
});

type Prove = (listenerNonce: Uint8Array, diallerNonce: Uint8Array) => Buffer;

function proveWith(secret: string): Prove {
  return (listenerNonce, diallerNonce) => proveToken(secret, { role: "dialler", diallerNonce, listenerNonce });
}

function lastOf(peer: RawPeer): string {
  const last = peer.frames.at(-1);
  if (last?.type !== frameTypes.ERROR || last.id !== 0) return `type ${last?.type ?? "none"}`;
  const { code, message } = messages.decodeError(last.body);
  return `${code}: ${message}`;
}

// A dialler by hand: resolves with "open", or with what the listener says at its end.
async function dial(port: number, secret: string, prove: Prove = proveWith(secret)): Promise<string> {
  using peer = rawPeer(connect(port, "127.0.0.1"), false);
  const nonce = Buffer.alloc(32, 7);
  peer.send((writer) => (writer.bytes(preface), encodeHello(writer, { ...hello, nonce })));
  const greeting = await eventually("its HELLO", () => peer.frames.find(({ type }) => type === frameTypes.HELLO));
  const theirs = decodeHello(greeting.body).nonce ?? Buffer.alloc(0);
  expect(peer.frames).toHaveLength(1); // nothing made from the token before ours
  peer.send((writer) => encodeAuth(writer, prove(theirs, nonce)));
  await eventually("an answer", () => peer.frames.length > 1);
  const answer = peer.frames[1];
  if (answer?.type !== frameTypes.AUTH) return lastOf(peer);
  expect(answer.body.toString("hex")).toBe(proveToken(secret, { role: "listener", diallerNonce: nonce, listenerNonce: theirs }).toString("hex"));
  return "open";
}

describe("a hostile dialler", () => {
  test("that knows the token is let in", async () => {
    await using members = await startMembers({ planeToken: token }, { planeToken: token });
    expect(await dial(members.port, token)).toBe("open");
  });

  test.each<[string, Prove]>([
    ["guesses", proveWith(other)],
    ["sends zeros", () => Buffer.alloc(32)],
    ["sends an empty proof", () => Buffer.alloc(0)],
    ["sends a long proof", (theirs, ours) => Buffer.concat([proveWith(token)(theirs, ours), Buffer.alloc(1)])],
    ["proves as a listener", (listenerNonce, diallerNonce) => proveToken(token, { role: "listener", diallerNonce, listenerNonce })],
    ["replays the proof of another connection", (_theirs, ours) => proveWith(token)(Buffer.alloc(32, 9), ours)],
  ])("that %s is refused", async (_name, prove) => {
    await using members = await startMembers({ planeToken: token }, { planeToken: token });
    expect(await dial(members.port, token, prove)).toBe("unauthenticated: the dialler has another plane token");
    expect(await members.ask()).toEqual(["hello"]);
  });

  test.each<[string, (writer: FrameWriter) => void, string]>([
    ["asks before it proves", (writer) => messages.encodeRequest(writer, 1, request), "unauthenticated: REQUEST before AUTH"],
    ["pings before it proves", (writer) => messages.encodePing(writer, "PING", Buffer.alloc(8)), "unauthenticated: PING before AUTH"],
    [
      "proves on a stream",
      (writer) => (writer.begin(frameTypes.AUTH, 1), writer.bytes(Buffer.alloc(32)), writer.end()),
      "unauthenticated: AUTH before AUTH",
    ],
    [
      "sends a large frame",
      (writer) => (writer.begin(frameTypes.AUTH, 0), writer.bytes(Buffer.alloc(5_000)), writer.end()),
      "too_large: AUTH frame of 5000 bytes",
    ],
    ["stays silent", () => undefined, "protocol: no AUTH from"],
  ])("that %s is refused", async (_name, build, reason) => {
    await using members = await startMembers({ planeToken: token, connectTimeoutMs: 1_000 }, { planeToken: token });
    using peer = rawPeer(connect(members.port, "127.0.0.1"), false);
    peer.send((writer) => (writer.bytes(preface), encodeHello(writer, { ...hello, nonce: Buffer.alloc(32, 7) }), build(writer)));
    await eventually("the connection ending", () => peer.isClosed);
    expect(lastOf(peer)).toContain(reason);
    expect(members.lines.some(({ message }) => message === "request received")).toBe(false);
  });

  test.each<[string, Hello, string]>([
    ["a short nonce", { ...hello, nonce: Buffer.alloc(31) }, "protocol: HELLO has a nonce that is not 32 bytes"],
    ["a nonce of text", { ...hello, nonce: "n".repeat(32) as unknown as Uint8Array }, "protocol: HELLO has a nonce that is not 32 bytes"],
    ["no nonce", hello, "unauthenticated: the dialler offers no proof of the plane token"],
  ])("with %s is refused", async (_name, greeting, reason) => {
    await using members = await startMembers({ planeToken: token }, { planeToken: token });
    using peer = rawPeer(connect(members.port, "127.0.0.1"), false);
    peer.send((writer) => (writer.bytes(preface), encodeHello(writer, greeting)));
    await eventually("the connection ending", () => peer.isClosed);
    expect(lastOf(peer)).toBe(reason);
  });

  test("with an AUTH that nobody asked for is refused", async () => {
    await using members = await startMembers({}, {});
    using peer = rawPeer(connect(members.port, "127.0.0.1"), false);
    peer.send((writer) => (writer.bytes(preface), encodeHello(writer, hello), encodeAuth(writer, Buffer.alloc(32))));
    await eventually("the connection ending", () => peer.isClosed);
    expect(lastOf(peer)).toBe("protocol: AUTH, which nobody asked for");
  });
});

// A worker by hand, behind a record: it greets with a nonce, then answers the dialler's proof in its own way.
async function askHostile(answer: (peer: RawPeer, proof: Buffer) => void): Promise<{ failure: string; types: number[] }> {
  const memorySpace = createMemorySpace();
  const peers: RawPeer[] = [];
  const server = createServer((socket) => {
    const peer = rawPeer(socket, true);
    peers.push(peer);
    peer.send((writer) => encodeHello(writer, { ...hello, instance_id: "77", nonce: Buffer.alloc(32, 3) }));
    let isAnswered = false;
    socket.on("data", () => {
      const proof = peer.frames.find(({ type }) => type === frameTypes.AUTH);
      if (!proof || isAnswered) return;
      isAnswered = true;
      answer(peer, proof.body);
    });
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const { port } = server.address() as AddressInfo;
  const record = toEndpointRecord(parseAddress(address), 77n, { tcp: `127.0.0.1:${port}`, isTls: false });
  await createMemoryDiscovery(memorySpace, createLogger({ sink: () => undefined })).publish(record);
  await using runtime = await createRuntime({
    config: { ...config, connectTimeoutMs: 2_000, planeToken: token },
    memorySpace,
    log: createLogger({ sink: () => undefined }),
  });
  const failure = await failureOf(collect(runtime.client<object, unknown>(address).generate({})));
  await eventually("its end", () => peers.every(({ frames }) => frames.at(-1)?.type === frameTypes.ERROR));
  for (const peer of peers) peer[Symbol.dispose]();
  server.close();
  return { failure: `${failure.code}: ${failure.message}`, types: peers.flatMap(({ frames }) => frames.map(({ type }) => type)) };
}

describe("a hostile listener", () => {
  test.each<[string, (peer: RawPeer, proof: Buffer) => void, string]>([
    ["sends zeros", (peer) => peer.send((writer) => encodeAuth(writer, Buffer.alloc(32))), "the listener has another plane token"],
    ["sends the dialler's proof back", (peer, proof) => peer.send((writer) => encodeAuth(writer, proof)), "the listener has another plane token"],
    ["says GOAWAY instead", (peer) => peer.send((writer) => messages.encodeGoaway(writer, "x")), "GOAWAY before AUTH"],
    ["stays silent", () => undefined, "no AUTH from"],
  ])("that %s is not sent a request", async (_name, answer, reason) => {
    const { failure, types } = await askHostile(answer);
    expect(failure).toContain("cannot_connect");
    expect(failure).toContain(reason);
    expect(types).toEqual([frameTypes.HELLO, frameTypes.AUTH, frameTypes.ERROR]);
  });
});

test("a worker that drains says so only to those who have proven themselves", async () => {
  const log = createLogger({ sink: () => undefined });
  const parts = { hello: { ...hello, instance_id: "77" }, helloTimeoutMs: 5_000, pingIntervalMs: 5_000, log, now: () => performance.now() };
  const server = createPushServer({ ...parts, rejections: createRuntimeMetrics().rejections, tracer: offTracer, tokens: () => [token] });
  await using listener = await listen({
    host: "127.0.0.1",
    port: 0,
    prefaceTimeoutMs: 5_000,
    maxConnections: 10,
    log,
    onConnection: (socket, head) => server.accept(socket, head),
  });
  server.goAway("draining");
  using peer = rawPeer(connect(listener.port, "127.0.0.1"), false);
  const nonce = Buffer.alloc(32, 7);
  peer.send((writer) => (writer.bytes(preface), encodeHello(writer, { ...hello, nonce })));
  const greeting = await eventually("its HELLO", () => peer.frames[0]);
  const theirs = decodeHello(greeting.body).nonce ?? Buffer.alloc(0);
  peer.send((writer) => encodeAuth(writer, proveWith(token)(theirs, nonce)));
  await eventually("GOAWAY", () => peer.frames.length === 3);
  expect(peer.frames.map(({ type }) => type)).toEqual([frameTypes.HELLO, frameTypes.AUTH, frameTypes.GOAWAY]);
  server.close();
});

describe("a list of tokens", () => {
  test("has one a line, between comments and empty lines", () => {
    expect(parseTokens(`\n# old\n ${token} \r\n\n${other}`)).toEqual([token, other]);
  });

  test.each([
    ["", "it holds no token"],
    ["# only this", "it holds no token"],
    [`${token}\nsecret word here`, "line 2: expected at least 16 characters of visible ASCII"],
    ["too-short", "line 1: expected at least 16 characters"],
    [`${token}x\n`.repeat(9), "it holds 9 tokens, at most 8 are taken"],
  ])("%j is refused without being quoted", (text, reason) => {
    expect(() => parseTokens(text)).toThrow(reason);
    expect(() => parseTokens(text)).not.toThrow(/secret|too-short/);
  });

  test("of a variable is checked at the start", async () => {
    const failure = await failureOf(createRuntime({ config: { ...config, planeToken: "tiny" }, environment: {} }));
    expect(failure).toMatchObject({ code: "invalid_argument", message: "DYN_PLANE_TOKEN: line 1: expected at least 16 characters of visible ASCII" });
  });
});
