// Two mock workers and a frontend on this machine: `npm start`. Ctrl-C drains them and leaves nothing behind.
import { spawn } from "node:child_process";
import { mkdtempSync, rmSync } from "node:fs";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { node, setUpOrExit } from "./bootstrap.mjs";

await setUpOrExit();

const host = process.env.DYN_HTTP_HOST || "127.0.0.1";
const wantedPort = process.env.DYN_HTTP_PORT || "8000";
const readyWithinMs = 30_000;
// npm passes the terminal's Ctrl-C on to its child, which has had it already: two at once are one.
const echoWithinMs = 500;

function say(text) {
  process.stderr.write(`${text}\n`);
}

// Held for a moment: so it is free, it is known even if 0 was asked for, and whoever answers there later is our frontend.
function findPort() {
  return new Promise((resolve, reject) => {
    const probe = createServer().once("error", reject);
    probe.listen({ host, port: wantedPort }, () => {
      const { port } = probe.address();
      probe.close(() => resolve(port));
    });
  });
}

const port = await findPort().catch((error) => {
  say(`cannot listen on http://${host}:${wantedPort}: ${error.message}; choose another port with DYN_HTTP_PORT`);
  process.exit(1);
});
const reachable = { "0.0.0.0": "127.0.0.1", "::": "::1" }[host] ?? host;
const url = `http://${reachable.includes(":") ? `[${reachable}]` : reachable}:${port}`;
const directory = mkdtempSync(join(tmpdir(), "dyn-start-"));
const children = new Map();
let stoppingSince = 0; // 0: not stopping

// Each child leads a process group of its own: a Ctrl-C in the terminal reaches only this script, which passes it on once.
function start(name, script, args) {
  const env = { ...process.env, DYN_DISCOVERY_BACKEND: "file", DYN_FILE_KV: directory };
  const child = spawn(node, [script, ...args], { env, detached: true, stdio: ["ignore", "inherit", "inherit"] });
  children.set(name, child);
  child.on("exit", (code, signal) => {
    children.delete(name);
    if (!stoppingSince) stop(`${name} ended unexpectedly (${signal ?? `exit code ${code}`}); its last lines say why`, 1);
    else if (children.size === 0) finish();
  });
}

let exitCode = 0;

function finish() {
  rmSync(directory, { recursive: true, force: true });
  process.exit(exitCode);
}

function stop(reason, code) {
  if (stoppingSince) return;
  stoppingSince = Date.now();
  exitCode = code;
  say(reason);
  for (const child of children.values()) child.kill("SIGTERM");
  if (children.size === 0) finish();
}

function onSignal() {
  if (!stoppingSince) return stop("stopping: waiting for running requests; press Ctrl-C again to end at once", 0);
  if (Date.now() - stoppingSince < echoWithinMs) return;
  for (const child of children.values()) child.kill("SIGKILL");
}
for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"]) process.on(signal, onSignal);
// Whoever read our output has gone.
process.stderr.on("error", () => stop("", 1));

async function tryCompletion() {
  const body = JSON.stringify({ model: "mock", messages: [{ role: "user", content: "are you there" }] });
  const headers = { "content-type": "application/json" };
  try {
    const signal = AbortSignal.timeout(readyWithinMs);
    const response = await fetch(`${url}/v1/chat/completions`, { method: "POST", headers, body, signal });
    return response.ok && (await response.json()).choices[0].message.content === "are you there";
  } catch {
    return false; // not listening yet
  }
}

async function waitUntilReady() {
  const deadline = Date.now() + readyWithinMs;
  while (!stoppingSince) {
    if (await tryCompletion()) return;
    if (Date.now() > deadline) return stop(`no completion succeeded within ${readyWithinMs / 1000} s`, 1);
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
}

start("frontend", "packages/frontend/bin/dyn-frontend.js", ["--http-host", host, "--http-port", String(port)]);
for (const name of ["worker 1", "worker 2"]) start(name, "packages/mock-worker/bin/dyn-mock-worker.js", ["--model-name", "mock"]);
await waitUntilReady();
if (!stoppingSince) {
  say(`
dyn is ready: a completion has succeeded. Try it:

  curl ${url}/v1/chat/completions -H 'content-type: application/json' \\
    -d '{"model":"mock","messages":[{"role":"user","content":"hello from the other side"}],"stream":true}'

Look next at ${url}/v1/models, /health and /metrics, and at docs/logging.md for the lines above.
Start another worker with: DYN_FILE_KV=${directory} npx dyn-mock-worker --model-name second
Ctrl-C stops everything.
`);
}
