// TLS and mutual TLS on the plane.
import { connect as connectTcp } from "node:net";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { createMemorySpace, createRuntime, type RuntimeConfig } from "../../../packages/runtime/src/index.ts";
import { createLogger } from "../../support/logger.ts";
import { createAuthority, type Authority, type Pem } from "../../support/certificates.ts";
import { eventually } from "../../support/cluster.ts";
import { address, config, failureOf, greeting, rawPeer } from "../peers.ts";
import { startMembers } from "./members.ts";

let ours: Authority;
let theirs: Authority;
let worker: Pem;
let caller: Pem;
let stranger: Pem;

beforeAll(async () => {
  ours = await createAuthority();
  theirs = await createAuthority();
  worker = await ours.issue("worker");
  caller = await ours.issue("caller");
  stranger = await theirs.issue("stranger");
});
afterAll(() => {
  ours[Symbol.dispose]();
  theirs[Symbol.dispose]();
});

const certificate = ({ cert, key }: Pem): Partial<RuntimeConfig> => ({ tcpTlsCert: cert, tcpTlsKey: key });

describe("a worker with a certificate", () => {
  test("is reached by callers that know its authority", async () => {
    await using members = await startMembers(certificate(worker), { tcpTlsCa: ours.ca });
    expect(await members.ask()).toEqual(["hello"]);
  });

  test("has a place for each caller, and none for one too many", async () => {
    await using members = await startMembers({ ...certificate(worker), tcpMaxConnections: 1 }, { tcpTlsCa: ours.ca });
    expect(await members.ask()).toEqual(["hello"]);
    expect((await failureOf(members.askAnew({ tcpTlsCa: ours.ca }))).code).toBe("disconnected");
    expect(members.lines).toContainEqual(
      expect.objectContaining({ message: "connection refused: too many", limit: 1 }),
    );
    expect(await members.ask()).toEqual(["hello"]);
  });

  test("says so in its record, and by nothing else", async () => {
    const records: unknown[] = [];
    const memorySpace = createMemorySpace();
    await using runtime = await createRuntime({
      config: { ...config, ...certificate(worker) },
      memorySpace,
      log: createLogger({ sink: () => undefined }).pino,
    });
    using _watch = runtime.discovery.watch("v1/instances", (changes) =>
      records.push(...changes.flatMap(({ record }) => record ?? [])),
    );
    await using _serving = await runtime.endpoint(address).serve(async function* () {
      yield 1;
    });
    await eventually("its record", () => records.length > 0);
    expect(records.at(-1)).toMatchObject({ dyn_plane: 1, dyn_plane_tls: true });
  });

  test("is known by the name that the caller asks for", async () => {
    await using members = await startMembers(certificate(worker), { tcpTlsCa: ours.ca, tcpTlsServerName: "worker" });
    expect(await members.ask()).toEqual(["hello"]);
    const failure = await failureOf(members.askAnew({ tcpTlsCa: ours.ca, tcpTlsServerName: "somebody-else" }));
    expect(failure.message).toContain("somebody-else");
    expect(failure.message).toContain("; say the name it has with --tcp-tls-server-name");
  });

  test("of another authority is not sent a request", async () => {
    await using members = await startMembers(certificate(stranger), { tcpTlsCa: ours.ca });
    const failure = await failureOf(members.ask());
    expect(failure.code).toBe("cannot_connect");
    expect(failure.message).toMatch(/certificate/);
    expect(members.lines.some(({ message }) => message === "request received")).toBe(false);
  });

  test("is not believed by a caller without its authority", async () => {
    await using members = await startMembers(certificate(worker), {});
    expect((await failureOf(members.ask())).message).toMatch(/certificate.*; set the authority with --tcp-tls-ca/);
    const refused = await eventually("the warning", () =>
      members.lines.find(({ message }) => message === "connection refused"),
    );
    expect(refused["remote"]).toMatch(/^127\.0\.0\.1:\d+$/);
    expect(refused["reason"]).toBe("the caller broke off the TLS handshake: does it trust this certificate?");
  });

  test("refuses peers that speak no TLS, with one warning, and serves on", async () => {
    await using members = await startMembers(certificate(worker), { tcpTlsCa: ours.ca });
    using peer = rawPeer(connectTcp(members.port, "127.0.0.1"), false);
    peer.sendBytes(greeting());
    await eventually("the connection ending", () => peer.isClosed);
    await eventually("the warning", () =>
      members.lines.some(({ message, level }) => message === "connection refused" && level === "WARN"),
    );
    expect(await members.ask()).toEqual(["hello"]);
  });

  test("closes while handshakes are under way", async () => {
    const members = await startMembers({ ...certificate(worker), tcpConnectTimeoutMs: 60_000 }, {});
    using peer = rawPeer(connectTcp(members.port, "127.0.0.1"), false);
    peer.sendBytes(Buffer.from("160301", "hex")); // the beginning of a ClientHello
    await eventually("the connection", () => peer.socket.readyState === "open");
    await members[Symbol.asyncDispose]();
    await eventually("the connection ending", () => peer.isClosed);
  });
});

test("a worker without TLS is not dialled by a caller that has an authority", async () => {
  await using members = await startMembers({}, { tcpTlsCa: ours.ca });
  const failure = await failureOf(members.ask());
  expect(failure.code).toBe("cannot_connect");
  expect(failure.message).toContain("offers no TLS");
});

test.each([
  ["--tcp-tls-required", { tcpTlsRequired: true }],
  ["--tcp-tls-ca", () => ({ tcpTlsCa: ours.ca })],
])("nothing is served in the clear with %s", async (flag, wanted) => {
  const log = createLogger({ sink: () => undefined });
  const more = typeof wanted === "function" ? wanted() : wanted;
  await using runtime = await createRuntime({ config: { ...config, ...more }, environment: {}, log: log.pino });
  const serving = runtime.endpoint(address).serve(async function* () {
    yield 1;
  });
  const failure = await failureOf(serving);
  expect(failure.code).toBe("invalid_argument");
  expect(failure.message).toBe(
    `${flag} asks for TLS, and this process has no certificate to serve with: set --tcp-tls-cert and --tcp-tls-key`,
  );
  await using members = await startMembers(
    { ...certificate(worker), tcpTlsRequired: true },
    { tcpTlsCa: ours.ca, tcpTlsRequired: true },
  );
  expect(await members.ask()).toEqual(["hello"]);
});

describe("a worker with an authority", () => {
  const mutual = (): Partial<RuntimeConfig> => ({ ...certificate(worker), tcpTlsCa: ours.ca });

  test("serves callers with a certificate of it, also with a token beside", async () => {
    const planeToken = "a-token-of-nobody";
    await using members = await startMembers(
      { ...mutual(), planeToken },
      { ...certificate(caller), tcpTlsCa: ours.ca, planeToken },
    );
    expect(await members.ask()).toEqual(["hello"]);
    expect((await failureOf(members.askAnew({ ...certificate(caller), tcpTlsCa: ours.ca }))).message).toContain(
      "plane token",
    );
  });

  // With TLS 1.3 a dialler has shaken hands before it hears that its certificate was wanted.
  test.each<[string, () => Partial<RuntimeConfig>, RegExp]>([
    ["without a certificate", () => ({}), /^the caller shows no certificate, and --tcp-tls-ca asks for one$/],
    [
      "with a certificate of another authority",
      () => certificate(stranger),
      /or its own is not of an authority in --tcp-tls-ca$/,
    ],
  ])("refuses callers %s, before a request is sent", async (_name, more, reason) => {
    const never = 600_000; // whoever waits for its end is too late for this test
    await using members = await startMembers(
      { ...mutual(), tcpConnectTimeoutMs: never },
      { ...more(), tcpTlsCa: ours.ca, tcpConnectTimeoutMs: never },
    );
    expect((await failureOf(members.ask())).code).toBe("cannot_connect");
    const refused = await eventually("the warning", () =>
      members.lines.find(({ message }) => message === "connection refused"),
    );
    expect(refused["level"]).toBe("WARN");
    expect(refused["reason"]).toMatch(reason);
    expect(members.lines.some(({ message }) => message === "request received")).toBe(false);
    expect(await members.askAnew({ ...certificate(caller), tcpTlsCa: ours.ca })).toEqual(["hello"]);
  });
});
