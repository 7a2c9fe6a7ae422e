// TLS and mutual TLS on the plane.
import { copyFileSync, readFileSync, writeFileSync } from "node:fs";
import { connect as connectTcp } from "node:net";
import { connect as connectTls, type TLSSocket } from "node:tls";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import {
  createMemorySpace,
  createRuntime,
  type Runtime,
  type RuntimeConfig,
} from "../../../packages/runtime/src/index.ts";
import { parseLogFilter } from "../../../packages/runtime/src/logging/filter.ts";
import { createLogger } from "../../../packages/runtime/src/logging/logger.ts";
import { explainTlsError } from "../../../packages/runtime/src/security/tls.ts";
import { createAuthority, replacePem, type Authority, type Pem } from "../../support/certificates.ts";
import { eventually } from "../../support/cluster.ts";
import { address, collect, config, failureOf, greeting, rawPeer } from "../peers.ts";

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

interface Members extends AsyncDisposable {
  readonly port: number;
  ask(): Promise<unknown[]>;
  /** A runtime of its own, so a connection of its own. */
  askAnew(more: Partial<RuntimeConfig>): Promise<unknown[]>;
  readonly lines: Record<string, unknown>[];
}

const certificate = ({ cert, key }: Pem): Partial<RuntimeConfig> => ({ tcpTlsCert: cert, tcpTlsKey: key });

async function startMembers(
  serverConfig: Partial<RuntimeConfig>,
  callerConfig: Partial<RuntimeConfig>,
): Promise<Members> {
  const memorySpace = createMemorySpace();
  const lines: Record<string, unknown>[] = [];
  const log = createLogger({ sink: (record) => void lines.push(record), filter: parseLogFilter("trace") });
  const start = (more: Partial<RuntimeConfig>): Promise<Runtime> =>
    createRuntime({ config: { ...config, connectTimeoutMs: 60_000, ...more }, memorySpace, log, environment: {} });
  const [server, asking] = await Promise.all([start(serverConfig), start(callerConfig)]);
  const serving = await server.endpoint(address).serve(async function* () {
    yield "hello";
  });
  const askWith = async (runtime: Runtime): Promise<unknown[]> => {
    const client = runtime.client<object, unknown>(address);
    await client.waitForInstances();
    return collect(client.generate({}));
  };
  return {
    port: Number(serving.address.split(":")[1]),
    ask: () => askWith(asking),
    async askAnew(more) {
      await using runtime = await start(more);
      return await askWith(runtime);
    },
    lines,
    async [Symbol.asyncDispose]() {
      await asking[Symbol.asyncDispose]();
      await server[Symbol.asyncDispose]();
    },
  };
}

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
      log: createLogger({ sink: () => undefined }),
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
    const members = await startMembers({ ...certificate(worker), connectTimeoutMs: 60_000 }, {});
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
  await using runtime = await createRuntime({ config: { ...config, ...more }, environment: {}, log });
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
    await using members = await startMembers(mutual(), { ...more(), tcpTlsCa: ours.ca });
    const startedAt = performance.now();
    expect((await failureOf(members.ask())).code).toBe("cannot_connect");
    expect(performance.now() - startedAt).toBeLessThan(30_000); // not by a timeout
    const refused = await eventually("the warning", () =>
      members.lines.find(({ message }) => message === "connection refused"),
    );
    expect(refused["level"]).toBe("WARN");
    expect(refused["reason"]).toMatch(reason);
    expect(members.lines.some(({ message }) => message === "request received")).toBe(false);
    expect(await members.askAnew({ ...certificate(caller), tcpTlsCa: ours.ca })).toEqual(["hello"]);
  });
});

describe("certificates that are replaced", () => {
  function peerName(port: number): Promise<string> {
    const socket: TLSSocket = connectTls({
      host: "127.0.0.1",
      port,
      ca: [readFileSync(ours.ca), readFileSync(theirs.ca)],
    });
    const { promise, resolve, reject } = Promise.withResolvers<string>();
    socket.on("secureConnect", () => resolve(String(socket.getPeerCertificate().subject.CN))).on("error", reject);
    return promise.finally(() => socket.destroy());
  }

  test("are used for new connections, while the old ones stay", async () => {
    const own = await ours.issue("first");
    const next = await ours.issue("second");
    await using members = await startMembers(certificate(own), { tcpTlsCa: ours.ca });
    expect(await members.ask()).toEqual(["hello"]);
    expect(await peerName(members.port)).toBe("first");
    replacePem(own, next);
    await eventually("the new certificate", async () => (await peerName(members.port)) === "second");
    expect(await members.ask()).toEqual(["hello"]);
    expect(members.lines.filter(({ message }) => message === "connection to instance opened")).toHaveLength(1);
    expect(await members.askAnew({ tcpTlsCa: ours.ca })).toEqual(["hello"]);
  });

  test("of authorities are used by both ends", async () => {
    const authorities = `${ours.directory}/both.crt`;
    copyFileSync(theirs.ca, authorities);
    await using members = await startMembers(
      { ...certificate(worker), tcpTlsCa: authorities },
      { ...certificate(caller), tcpTlsCa: authorities },
    );
    expect((await failureOf(members.ask())).code).toBe("cannot_connect");
    writeFileSync(authorities, readFileSync(ours.ca, "utf8") + readFileSync(theirs.ca, "utf8"));
    const count = (): number =>
      members.lines.filter(({ message }) => message === "certificates of the plane reloaded").length;
    await eventually("both reloads", () => count() === 2);
    await eventually("an answer", () => members.ask().catch(() => undefined));
  });

  test("and cannot be used leave the last ones, with one warning, until they can", async () => {
    const own = await ours.issue("kept");
    const next = await ours.issue("late");
    await using members = await startMembers(certificate(own), { tcpTlsCa: ours.ca });
    const warnings = (): unknown[] =>
      members.lines.filter(
        ({ message }) => message === "certificates of the plane cannot be reloaded, what was read before stays in use",
      );
    copyFileSync(next.cert, own.cert); // its key comes later
    await eventually("the warning", () => warnings().length > 0);
    expect(await peerName(members.port)).toBe("kept");
    copyFileSync(next.key, own.key);
    await eventually("the new certificate", async () => (await peerName(members.port)) === "late");
    expect(warnings()).toHaveLength(1);
    expect(JSON.stringify(members.lines)).not.toContain("PRIVATE KEY");
  });
});

test.each<[string, () => Partial<RuntimeConfig>, RegExp]>([
  ["a certificate without its key", () => ({ tcpTlsCert: worker.cert }), /a certificate needs its key/],
  [
    "a key of another certificate",
    () => ({ tcpTlsCert: worker.cert, tcpTlsKey: caller.key }),
    /the key is not that of the certificate/,
  ],
  ["a file that is not there", () => ({ tcpTlsCa: "/no/such/file" }), /ENOENT/],
  ["a file without a certificate", () => ({ tcpTlsCa: worker.key }), /\.key/],
])("%s is refused at the start", async (_name, wrong, reason) => {
  const failure = await failureOf(
    createRuntime({ config: { ...config, ...wrong() }, environment: {}, log: createLogger({ sink: () => undefined }) }),
  );
  expect(failure.code).toBe("invalid_argument");
  expect(failure.message).toMatch(reason);
});

test.each<[string, string, string | undefined]>([
  [
    "the other side does not trust this certificate: it does not know the authority of it",
    "ERR_SSL_TLSV1_ALERT_UNKNOWN_CA",
    "tlsv1 alert unknown ca",
  ],
  ["unsupported protocol", "ERR_SSL_UNSUPPORTED_PROTOCOL", "unsupported protocol"],
  ["read ECONNRESET", "ECONNRESET", undefined],
])("the log says %j of %s", (words, code, reason) => {
  const message =
    reason === undefined ? words : `40FD:error:0A000418:SSL routines:ssl3_read_bytes:${reason}:rec_layer_s3.c:918:\n`;
  expect(explainTlsError(Object.assign(new Error(message), { code, ...(reason !== undefined && { reason }) }))).toBe(
    words,
  );
});
