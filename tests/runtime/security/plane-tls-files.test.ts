// The files of certificates for the plane: replaced while they are in use, refused when they cannot be used.
import { copyFileSync, readFileSync, writeFileSync } from "node:fs";
import { connect as connectTls, type TLSSocket } from "node:tls";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { createRuntime, type RuntimeConfig } from "../../../packages/runtime/src/index.ts";
import { createLogger } from "../../support/logger.ts";
import { explainTlsError } from "../../../packages/runtime/src/security/tls.ts";
import { createAuthority, replacePem, type Authority, type Pem } from "../../support/certificates.ts";
import { eventually } from "../../support/cluster.ts";
import { config, failureOf } from "../peers.ts";
import { startMembers } from "./members.ts";

let ours: Authority;
let theirs: Authority;
let worker: Pem;
let caller: Pem;

beforeAll(async () => {
  ours = await createAuthority();
  theirs = await createAuthority();
  worker = await ours.issue("worker");
  caller = await ours.issue("caller");
});
afterAll(() => {
  ours[Symbol.dispose]();
  theirs[Symbol.dispose]();
});

const certificate = ({ cert, key }: Pem): Partial<RuntimeConfig> => ({ tcpTlsCert: cert, tcpTlsKey: key });

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
    createRuntime({
      config: { ...config, ...wrong() },
      environment: {},
      log: createLogger({ sink: () => undefined }).pino,
    }),
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
