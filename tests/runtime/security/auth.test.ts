// The shared token of the plane: who knows it is served, who does not gets a refusal and nothing else.
import { createHmac } from "node:crypto";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { connect } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { createPlaneServer } from "../../../packages/runtime/src/ingress/plane-server.ts";
import {
  createMemorySpace,
  createRuntime,
  type Logger,
  type Runtime,
  type RuntimeConfig,
} from "../../../packages/runtime/src/index.ts";
import { createRuntimeMetrics } from "../../../packages/runtime/src/internal.ts";
import { parseLogFilter } from "../../../packages/runtime/src/logging/filter.ts";
import { createLogger } from "../../../packages/runtime/src/logging/logger.ts";
import {
  parseTokens,
  proveToken,
  type Guard,
  type ProofInput,
  type Role,
} from "../../../packages/runtime/src/security/auth.ts";
import { listen } from "../../../packages/runtime/src/net/listener.ts";
import { offTracer } from "../../../packages/runtime/src/trace/spans.ts";
import type { FrameWriter } from "../../../packages/runtime/src/wire/frame-writer.ts";
import { frameTypes, preface } from "../../../packages/runtime/src/wire/frames.ts";
import { decodeHello, encodeAuth, encodeHello, type Hello } from "../../../packages/runtime/src/wire/hello.ts";
import * as messages from "../../../packages/runtime/src/wire/messages.ts";
import { eventually } from "../../support/cluster.ts";
import { address, collect, config, failureOf, hello, memory, rawPeer, request, type RawPeer } from "../peers.ts";

const token = "a token of nobody".replaceAll(" ", "-");
const other = "quite-another-token";

interface Members extends AsyncDisposable {
  readonly port: number;
  /** The worker, as its record has it. */
  readonly dialled: string;
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
    dialled: `${serving.instanceId}@tcp://${serving.address}`,
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
  [
    "a caller without a token",
    { planeToken: token },
    {},
    "the peer asks for a plane token, and none is set here: set --plane-token-file",
  ],
  [
    "a worker without a token",
    {},
    { planeToken: token },
    "the listener shows no plane token: set --plane-token-file there, too",
  ],
  ["a caller with another token", { planeToken: token }, { planeToken: other }, "the dialler has another plane token"],
])("%s fails before a request is sent, with one warning at each end", async (_name, worker, caller, reason) => {
  await using members = await startMembers(worker, caller);
  const failure = await failureOf(members.ask());
  expect(failure.code).toBe("cannot_connect");
  expect(failure.message).toContain(reason);
  const ended = await eventually("the listener's line", () =>
    members.lines.find(({ message }) => message === "connection ended with an error"),
  );
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
      eventually(
        "the reload",
        () => members.lines.filter(({ message }) => message === "plane tokens reloaded").length === count,
      );
    writeFileSync(worker, `${other}\n${token}\n`); // the worker knows both, the caller proves the old one
    await reloaded(1);
    for (const known of [token, other]) expect(await dial(members, known)).toBe("open");
    writeFileSync(worker, "short\n");
    await eventually("the warning", () =>
      members.lines.some(
        ({ message }) => message === "plane tokens cannot be reloaded, what was read before stays in use",
      ),
    );
    expect(JSON.stringify(members.lines)).not.toContain("short\\n");
    writeFileSync(worker, `${other}\n`);
    await reloaded(2);
    expect(await dial(members, other)).toBe("open");
    expect(await dial(members, token)).toContain("unauthenticated");
  } finally {
    rmSync(directory, { recursive: true, force: true });
  }
});

type Said = Omit<ProofInput, "role">;
type Prove = (said: Said) => Buffer;

function proveWith(secret: string, role: Role = "dialler"): Prove {
  return (said) => proveToken(parseTokens(secret)[0].proofKey, { role, ...said });
}

function lastOf(peer: RawPeer): string {
  const last = peer.frames.at(-1);
  if (last?.type !== frameTypes.ERROR || last.id !== 0) return `type ${last?.type ?? "none"}`;
  const { code, message } = messages.decodeError(last.body);
  return `${code}: ${message}`;
}

// A dialler by hand: resolves with "open", or with what the listener says at its end.
async function dial(
  { port, dialled }: Pick<Members, "port" | "dialled">,
  secret: string,
  prove: Prove = proveWith(secret),
): Promise<string> {
  using peer = rawPeer(connect(port, "127.0.0.1"), false);
  const diallerNonce = Buffer.alloc(32, 7);
  peer.send(
    (writer) => (
      writer.bytes(preface),
      encodeHello(writer, { ...hello, nonce: diallerNonce, proof_version: 2, dialled })
    ),
  );
  const greeting = await eventually("its HELLO", () => peer.frames.find(({ type }) => type === frameTypes.HELLO));
  const listenerNonce = decodeHello(greeting.body).nonce ?? Buffer.alloc(0);
  expect(peer.frames).toHaveLength(1); // nothing made from the token before ours
  const said = { dialled, diallerNonce, listenerNonce, channel: Buffer.alloc(0) };
  peer.send((writer) => encodeAuth(writer, prove(said)));
  await eventually("an answer", () => peer.frames.length > 1);
  const answer = peer.frames[1];
  if (answer?.type !== frameTypes.AUTH) return lastOf(peer);
  expect(answer.body.toString("hex")).toBe(proveWith(secret, "listener")(said).toString("hex"));
  return "open";
}

const nonce = Buffer.alloc(32, 7);
const proving = { ...hello, nonce, proof_version: 2 };
const unannounced = "which this process has not announced: the record is old or was changed, or somebody is in between";

describe("a hostile dialler", () => {
  test("that knows the token is let in", async () => {
    await using members = await startMembers({ planeToken: token }, { planeToken: token });
    expect(await dial(members, token)).toBe("open");
  });

  test.each<[string, Prove]>([
    ["guesses", proveWith(other)],
    ["sends zeros", () => Buffer.alloc(32)],
    ["sends an empty proof", () => Buffer.alloc(0)],
    ["sends a long proof", (said) => Buffer.concat([proveWith(token)(said), Buffer.alloc(1)])],
    ["proves as a listener", proveWith(token, "listener")],
    [
      "replays the proof of another connection",
      (said) => proveWith(token)({ ...said, listenerNonce: Buffer.alloc(32, 9) }),
    ],
    ["proves to have meant somebody else", (said) => proveWith(token)({ ...said, dialled: `${said.dialled}0` })],
    ["proves to have come by TLS", (said) => proveWith(token)({ ...said, channel: Buffer.alloc(32, 9) })],
    [
      "proves in the first version",
      ({ diallerNonce, listenerNonce }) =>
        createHmac("sha256", token).update("dyn/1 dialler").update(diallerNonce).update(listenerNonce).digest(),
    ],
  ])("that %s is refused", async (_name, prove) => {
    await using members = await startMembers({ planeToken: token }, { planeToken: token });
    expect(await dial(members, token, prove)).toBe(
      "unauthenticated: the dialler has another plane token, or somebody is in between",
    );
    expect(await members.ask()).toEqual(["hello"]);
  });

  test.each<[string, (writer: FrameWriter) => void, string]>([
    [
      "asks before it proves",
      (writer) => messages.encodeRequest(writer, 1, request),
      "unauthenticated: REQUEST before AUTH",
    ],
    [
      "pings before it proves",
      (writer) => messages.encodePing(writer, "PING", Buffer.alloc(8)),
      "unauthenticated: PING before AUTH",
    ],
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
    peer.send(
      (writer) => (writer.bytes(preface), encodeHello(writer, { ...proving, dialled: members.dialled }), build(writer)),
    );
    await eventually("the connection ending", () => peer.isClosed);
    expect(lastOf(peer)).toContain(reason);
    expect(members.lines.some(({ message }) => message === "request received")).toBe(false);
  });

  test.each<[string, Hello, string]>([
    ["a short nonce", { ...hello, nonce: Buffer.alloc(31) }, "protocol: HELLO has a nonce that is not 32 bytes"],
    [
      "a nonce of text",
      { ...hello, nonce: "n".repeat(32) as unknown as Uint8Array },
      "protocol: HELLO has a nonce that is not 32 bytes",
    ],
    ["no nonce", hello, "unauthenticated: the dialler shows no plane token: set --plane-token-file there, too"],
    [
      "a dialled of 301 characters",
      { ...hello, dialled: "x".repeat(301) },
      "protocol: HELLO has a dialled that is not 1 to 300 characters",
    ],
    [
      "a version of text",
      { ...hello, proof_version: "2" as unknown as number },
      "protocol: HELLO has a proof_version that is no number",
    ],
    [
      "another instance",
      { ...proving, dialled: "1@tcp://127.0.0.1:1" },
      `unauthenticated: the dialler means to reach 1@tcp://127.0.0.1:1, ${unannounced}`,
    ],
    ["nobody it means to reach", proving, `unauthenticated: the dialler means to reach nobody, ${unannounced}`],
    [
      "the first version of the proof",
      { ...hello, nonce },
      "unauthenticated: the dialler speaks proof version 1, the listener version 2: upgrade the dialler",
    ],
    [
      "a later version of the proof",
      { ...proving, proof_version: 3 },
      "unauthenticated: the dialler speaks proof version 3, the listener version 2: upgrade the listener",
    ],
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

test("a worker that drains says so only to those who have proven themselves", async () => {
  const log = createLogger({ sink: () => undefined });
  const parts = {
    hello: { ...hello, instance_id: "77" },
    helloTimeoutMs: 5_000,
    pingIntervalMs: 5_000,
    log,
    now: () => performance.now(),
  };
  const guard = (): Guard => ({ role: "listener", tokens: parseTokens(token), isAnnounced: () => true });
  const server = createPlaneServer({
    ...parts,
    rejections: createRuntimeMetrics().rejections,
    tracer: offTracer,
    memory,
    guard,
  });
  await using listener = await listen({
    host: "127.0.0.1",
    port: 0,
    prefaceTimeoutMs: 5_000,
    maxConnections: 10,
    log,
    onConnection: (...arrival) => server.accept(...arrival),
  });
  server.goAway("draining");
  using peer = rawPeer(connect(listener.port, "127.0.0.1"), false);
  const dialled = `77@tcp://127.0.0.1:${listener.port}`;
  peer.send((writer) => (writer.bytes(preface), encodeHello(writer, { ...proving, dialled })));
  const greeting = await eventually("its HELLO", () => peer.frames[0]);
  const listenerNonce = decodeHello(greeting.body).nonce ?? Buffer.alloc(0);
  peer.send((writer) =>
    encodeAuth(writer, proveWith(token)({ dialled, diallerNonce: nonce, listenerNonce, channel: Buffer.alloc(0) })),
  );
  await eventually("GOAWAY", () => peer.frames.length === 3);
  expect(peer.frames.map(({ type }) => type)).toEqual([frameTypes.HELLO, frameTypes.AUTH, frameTypes.GOAWAY]);
  server.close();
});

describe("a list of tokens", () => {
  test("has one a line, between comments and empty lines", () => {
    const tokens = parseTokens(`\n# old\n ${token} \r\n\n${other}`);
    const expected = [token, other].flatMap((each) => parseTokens(each));
    expect(tokens.map(({ proofKey }) => proofKey.export().toString("hex"))).toEqual(
      expected.map(({ proofKey }) => proofKey.export().toString("hex")),
    );
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
    expect(failure).toMatchObject({
      code: "invalid_argument",
      message: "DYN_PLANE_TOKEN: line 1: expected at least 16 characters of visible ASCII",
    });
  });
});
