// Two mock workers and a frontend on this machine: `npm start`. Ctrl-C drains them and leaves nothing behind.
import { spawn } from "node:child_process";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { node, setUpOrExit } from "./bootstrap.mjs";

await setUpOrExit();

const host = process.env.DYN_HTTP_HOST || "127.0.0.1";
const port = process.env.DYN_HTTP_PORT || "8000";
const readyWithinMs = 30_000;
const directory = mkdtempSync(join(tmpdir(), "dyn-start-"));
const children = new Map();
let stopping = false;
let chosenUrl;

function say(text) {
  process.stderr.write(`${text}\n`);
}

// Each child leads a process group of its own: a Ctrl-C in the terminal reaches only this script, which passes it on once.
function start(name, script, args) {
  const env = { ...process.env, DYN_DISCOVERY_BACKEND: "file", DYN_FILE_KV: directory };
  const child = spawn(node, [script, ...args], { env, detached: true, stdio: ["ignore", "inherit", "pipe"] });
  children.set(name, child);
  let line = "";
  child.stderr.on("data", (chunk) => {
    process.stderr.write(chunk);
    if (chosenUrl || name !== "frontend") return;
    line += chunk;
    chosenUrl = /http:\/\/[\d.:[\]a-f]+\d/.exec(line.split("frontend is listening")[1] ?? "")?.[0];
  });
  child.on("exit", (code, signal) => {
    children.delete(name);
    if (!stopping) stop(`${name} ended unexpectedly (${signal ?? `exit code ${code}`}); its last lines above say why`, 1);
    else if (children.size === 0) finish();
  });
}

let exitCode = 0;

function finish() {
  rmSync(directory, { recursive: true, force: true });
  process.exit(exitCode);
}

function stop(reason, code) {
  if (stopping) return;
  stopping = true;
  exitCode = code;
  say(reason);
  for (const child of children.values()) child.kill("SIGTERM");
  if (children.size === 0) finish();
}

function onSignal() {
  if (!stopping) return stop("stopping: waiting for running requests; press Ctrl-C again to end at once", 0);
  for (const child of children.values()) child.kill("SIGKILL");
}
process.on("SIGINT", onSignal);
process.on("SIGTERM", onSignal);

async function tryCompletion() {
  const body = JSON.stringify({ model: "mock", messages: [{ role: "user", content: "are you there" }] });
  try {
    const response = await fetch(`${chosenUrl}/v1/chat/completions`, { method: "POST", headers: { "content-type": "application/json" }, body });
    return response.ok && (await response.json()).choices[0].message.content === "are you there";
  } catch {
    return false; // not listening yet
  }
}

async function waitUntilReady() {
  const deadline = Date.now() + readyWithinMs;
  while (!stopping) {
    if (chosenUrl && (await tryCompletion())) return;
    if (Date.now() > deadline) return stop(`no completion succeeded within ${readyWithinMs / 1000} s`, 1);
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
}

start("frontend", "packages/frontend/bin/dyn-frontend.js", ["--http-host", host, "--http-port", port]);
for (const name of ["worker 1", "worker 2"]) start(name, "packages/mock-worker/bin/dyn-mock-worker.js", ["--model-name", "mock"]);
await waitUntilReady();
if (!stopping) {
  say(`
dyn is ready: a completion has succeeded. Try it:

  curl ${chosenUrl}/v1/chat/completions -H 'content-type: application/json' \\
    -d '{"model":"mock","messages":[{"role":"user","content":"hello from the other side"}],"stream":true}'

Look next at ${chosenUrl}/v1/models, /health and /metrics, and at docs/logging.md for the lines above.
Start another worker with: DYN_FILE_KV=${directory} npx dyn-mock-worker --model-name second
Ctrl-C stops everything.
`);
}
