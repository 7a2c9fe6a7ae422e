// What leaves a program open to others is said at its start, in one warning each; it starts all the same. Good settings have none.
import { createHash } from "node:crypto";
import { chmod, mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createRuntime } from "@dyn/runtime";
import { afterAll, beforeAll, expect, test } from "vitest";
import { createLogger } from "../support/logger.ts";
import { createAuthority, type Authority, type Pem } from "../support/certificates.ts";
import { eventually, startProgram, type Program } from "../support/cluster.ts";

let directory = "";
let authority: Authority;
let pem: Pem;
const secret = { keys: "", token: "" };

beforeAll(async () => {
  directory = await mkdtemp(join(tmpdir(), "dyn-open-"));
  authority = await createAuthority();
  pem = await authority.issue("dyn");
  secret.keys = join(directory, "api-keys");
  secret.token = join(directory, "token");
  await writeFile(secret.keys, createHash("sha256").update("a-key-of-the-tests-0123456789").digest("hex"));
  await writeFile(secret.token, "plane-token-0123456789");
});
afterAll(async () => {
  authority[Symbol.dispose]();
  await rm(directory, { recursive: true, force: true, maxRetries: 5 });
});

async function giveMode(mode: number): Promise<void> {
  for (const path of [secret.keys, secret.token, pem.key]) await chmod(path, mode);
}

/** Messages of the warnings of a program that has started, and all of their facts. */
async function warningsOf(program: Program, started: string): Promise<Record<string, unknown>[]> {
  await eventually(`the start (${program.stderr()})`, () => program.lines().some(({ message }) => message === started));
  const warnings = program.lines().filter(({ level }) => level === "WARN");
  return warnings.map(({ message, host, path, mode }) => ({
    message,
    ...(host !== undefined && { host }),
    ...(path !== undefined && { path, mode }),
  }));
}

const start = {
  frontend: (...args: readonly string[]) =>
    startProgram("dyn-frontend", ["--http-port", "0", "--file-kv", directory, ...args]),
  worker: (...args: readonly string[]) => startProgram("dyn-mock-worker", ["--file-kv", directory, ...args]),
};
const everywhere = "0.0.0.0";
const warning = {
  http: {
    message:
      "everybody who reaches the HTTP port is served, nobody is asked for an API key: set --api-keys-file, or listen on 127.0.0.1 with --http-host",
    host: everywhere,
  },
  operators: {
    message:
      "everybody who reaches the operators' port sees all requests, nobody is asked for a key: set --operator-keys-file, or listen on 127.0.0.1 with --operator-host",
    host: everywhere,
  },
  plane: {
    message:
      "everybody who reaches the request plane is served, nobody is asked for a token: set --plane-token-file, or listen on 127.0.0.1 with --tcp-host",
    host: everywhere,
  },
  orders: {
    message:
      "everybody who reaches the system server can give it orders: set --operator-keys-file, or listen on 127.0.0.1 with --system-host",
    host: everywhere,
  },
  secret: (path: string) => ({
    message: "others can read or change a file with secrets: give it mode 0600, or 0640 if it belongs to root",
    path,
    mode: "0644",
  }),
};

test("a frontend for everybody, whose secrets everybody can read", async () => {
  await giveMode(0o644);
  const tls = [
    "--tls-cert-path",
    pem.cert,
    "--tls-key-path",
    pem.key,
    "--tcp-tls-cert",
    pem.cert,
    "--tcp-tls-key",
    pem.key,
  ];
  await using frontend = start.frontend(
    "--http-host",
    everywhere,
    "--plane-token-file",
    secret.token,
    "--operator-keys-file",
    secret.keys,
    ...tls,
  );
  const warnings = await warningsOf(frontend, "frontend is listening");
  expect(warnings).toHaveLength(4);
  const secrets = [secret.token, secret.keys, pem.key].map(warning.secret); // both TLS keys are one file
  expect(warnings).toEqual(expect.arrayContaining([warning.http, ...secrets]));
});

test("an operators' port for everybody", async () => {
  await giveMode(0o600);
  await using frontend = start.frontend("--operator-port", "0", "--operator-host", everywhere);
  expect(await warningsOf(frontend, "frontend is listening")).toEqual([warning.operators]);
});

test("workers for everybody, several in a process", async () => {
  await giveMode(0o644);
  const tls = ["--tcp-tls-cert", pem.cert, "--tcp-tls-key", pem.key]; // of callers no certificate is asked for
  const open = ["--tcp-host", everywhere, "--system-host", everywhere, "--system-port", "0", "--num-workers", "3"];
  await using worker = start.worker(...open, ...tls);
  const serving = (): number => worker.lines().filter(({ message }) => message === "model is serving").length;
  await eventually("three of them", () => serving() === 3);
  const warnings = await warningsOf(worker, "model is serving");
  const orders = ["/faults", "/script", "/requests"].map((path) => ({ ...warning.orders, path }));
  const expected = [warning.plane, ...orders, warning.secret(pem.key)];
  expect(warnings).toHaveLength(expected.length);
  expect(warnings).toEqual(expect.arrayContaining(expected));
});

test.each<[string, () => Program, string]>([
  ["a frontend out of the box", () => start.frontend(), "frontend is listening"],
  ["a worker out of the box, with a system server", () => start.worker("--system-port", "0"), "model is serving"],
  [
    "a frontend for all who have a key",
    () => start.frontend("--http-host", everywhere, "--api-keys-file", secret.keys),
    "frontend is listening",
  ],
  [
    "a worker for all who know the token",
    () => start.worker("--tcp-host", everywhere, "--plane-token-file", secret.token),
    "model is serving",
  ],
  [
    "a frontend for all operators who have a key",
    () => start.frontend("--operator-port", "0", "--operator-host", everywhere, "--operator-keys-file", secret.keys),
    "frontend is listening",
  ],
  [
    "a worker that takes orders from operators",
    () => start.worker("--system-port", "0", "--system-host", everywhere, "--operator-keys-file", secret.keys),
    "model is serving",
  ],
  [
    "a worker for all who have a certificate",
    () =>
      start.worker(
        "--tcp-host",
        everywhere,
        "--tcp-tls-cert",
        pem.cert,
        "--tcp-tls-key",
        pem.key,
        "--tcp-tls-ca",
        authority.ca,
      ),
    "model is serving",
  ],
])("%s warns of nothing, and its secrets are its own", async (_name, run, started) => {
  await giveMode(0o600);
  await using program = run();
  expect(await warningsOf(program, started)).toEqual([]);
});

test("a system server that only shows things is for everybody without a warning", async () => {
  const warnings: unknown[] = [];
  const log = createLogger({ sink: ({ level, message }) => void (level === "WARN" && warnings.push(message)) });
  await using runtime = await createRuntime({
    config: { discoveryBackend: "mem", systemHost: everywhere, systemPort: 0 },
    log: log.pino,
  });
  runtime.system.addRoute("/lamp", { read: () => "off", orders: {} });
  expect(warnings).toEqual([]);
  runtime.system.addRoute("/switch", { read: () => "off", orders: { PUT: () => undefined } });
  expect(warnings).toEqual([warning.orders.message]);
});
