// What a listener that asks for a token says and does not say to diallers that do not know it, or lie.
import { CallScopes } from "../../../packages/runtime/src/trace/call-scope.ts";
import { createHmac } from "node:crypto";
import { connect } from "node:net";
import { describe, expect, test } from "vitest";
import { createPlaneServer } from "../../../packages/runtime/src/ingress/plane-server.ts";
import { createRuntimeMetrics } from "../../../packages/runtime/src/internal.ts";
import { createLogger } from "../../support/logger.ts";
import { parseTokens, type Guard } from "../../../packages/runtime/src/security/auth.ts";
import { listen } from "../../../packages/runtime/src/net/listener.ts";
import { offTracer } from "../../../packages/runtime/src/trace/spans.ts";
import type { FrameWriter } from "../../../packages/runtime/src/wire/frame-writer.ts";
import { frameTypes, preface } from "../../../packages/runtime/src/wire/frames.ts";
import { decodeHello, encodeAuth, encodeHello, type Hello } from "../../../packages/runtime/src/wire/hello.ts";
import * as messages from "../../../packages/runtime/src/wire/messages.ts";
import { eventually } from "../../support/cluster.ts";
import { hello, memory, rawPeer, request } from "../peers.ts";
import { startMembers } from "./members.ts";
import { dial, lastOf, proveWith, type Prove } from "./dialler.ts";

const token = "a token of nobody".replaceAll(" ", "-");
const other = "quite-another-token";

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
  ])("that %s is refused", async (name, build, reason) => {
    const isSilent = name === "stays silent";
    await using members = await startMembers(
      { planeToken: token, ...(isSilent && { tcpConnectTimeoutMs: 1_000 }) },
      { planeToken: token },
    );
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
    helloTimeoutMs: 60_000,
    pingIntervalMs: 60_000,
    log,
    now: () => performance.now(),
  };
  const guard = (): Guard => ({ role: "listener", tokens: parseTokens(token), isAnnounced: () => true });
  const server = createPlaneServer({
    ...parts,
    rejections: createRuntimeMetrics().rejections,
    tracer: offTracer,
    scopes: new CallScopes(),
    memory,
    guard,
  });
  await using listener = await listen({
    host: "127.0.0.1",
    port: 0,
    prefaceTimeoutMs: 60_000,
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
  await server.close();
});
