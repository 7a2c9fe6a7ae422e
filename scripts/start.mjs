// Two mock workers and a frontend on this machine: `npm start`. Ctrl-C drains them and leaves nothing behind.
import { spawn } from "node:child_process";
import { existsSync, rmdirSync } from "node:fs";
import { join } from "node:path";
import { node, setUpOrExit } from "./bootstrap.mjs";

const help = `npm start [-- FLAGS]: two mock workers and a frontend on this machine.

FLAGS are those of dyn-frontend below; what the workers have too goes to all three. Variables work as well.
Whatever else you start in the same discovery directory joins. Only warnings are logged, unless --log or DYN_LOG says otherwise.
`;
const frontend = "packages/frontend/bin/dyn-frontend.js";
const worker = "packages/mock-worker/bin/dyn-mock-worker.js";
const sharedFlags = new Set([
  "discovery-backend",
  "file-kv",
  "file-kv-shared",
  "namespace",
  "drain-timeout-ms",
  "tcp-max-message-size",
  "log",
  "log-jsonl",
]);
const quiet = "warn";
const readyWithinMs = 30_000;
// npm passes the terminal's Ctrl-C on to its child, which has had it already: two at once are one.
const echoWithinMs = 500;
// How long a child may be there after its drain should be over.
const lateMs = 3_000;

function say(text) {
  process.stderr.write(`${text}\n`);
}

// Each flag with its value, and in `given` as it was written.
function readFlags(args) {
  const flags = [];
  for (const arg of args) {
    if (!arg.startsWith("--") && flags.length > 0) {
      flags.at(-1).given.push(arg);
      flags.at(-1).value ??= arg;
    } else {
      const [, name, value] = /^-*([^=]*)(?:=(.*))?$/s.exec(arg);
      flags.push({ name, value, given: [arg] });
    }
  }
  return flags;
}

const args = process.argv.slice(2);
const flags = readFlags(args);
const settingOf = (name, variable) => flags.findLast((flag) => flag.name === name)?.value ?? process.env[variable];

await setUpOrExit();
if (args.includes("--help") || args.includes("-h")) {
  process.stdout.write(`${help}\n`);
  spawn(node, [frontend, "--help"], { stdio: "inherit" }).on("exit", (code) => process.exit(code ?? 1));
  await new Promise(() => undefined);
}
if (settingOf("discovery-backend", "DYN_DISCOVERY_BACKEND") === "mem") {
  say("npm start runs three processes, which a discovery inside one process (mem) cannot connect");
  process.exit(1);
}

const { defaultFileKv } = await import("../packages/runtime/dist/settings/environment.js");
const defaultDirectory = defaultFileKv();
const directory = settingOf("file-kv", "DYN_FILE_KV") || defaultDirectory;
const sharing = flags.flatMap(({ name, given }) => (name === "file-kv-shared" ? [` ${given.join(" ")}`] : [])).join("");
const isOurDirectory = !existsSync(directory);
const drainMs = Math.max(
  1000 * (settingOf("http-graceful-shutdown-timeout-secs", "DYN_HTTP_GRACEFUL_SHUTDOWN_TIMEOUT_SECS") || 30),
  settingOf("drain-timeout-ms", "DYN_DRAIN_TIMEOUT_MS") || 30_000,
);
const children = new Map();
const isQuiet = !settingOf("log", "DYN_LOG");
let url = ""; // where the frontend listens, once it does
let stoppingSince = 0; // 0: not stopping
let exitCode = 0;

// Each child leads a process group of its own: a Ctrl-C in the terminal reaches only this script, which passes it on once.
// A channel tells it if this script is killed, and tells this script where the frontend listens.
function start(name, script, given) {
  const env = { ...process.env, ...(isQuiet && { DYN_LOG: quiet }) };
  // A fixed port is meant for one process, and these are three.
  for (const port of ["DYN_TCP_RPC_PORT", "DYN_SYSTEM_PORT"]) if (env[port] > 0) env[port] = "0";
  const child = spawn(node, [script, ...given], {
    env,
    detached: true,
    stdio: ["ignore", "inherit", "inherit", "ipc"],
  });
  children.set(name, child);
  child.on("exit", (code, signal) => {
    children.delete(name);
    if (stoppingSince) return children.size === 0 && finish();
    const reason = `${name} ended unexpectedly (${signal ?? `exit code ${code}`}); its last lines say why`;
    stop(url === "" ? "" : reason, code || 1); // one that could not start has said why
  });
  return child;
}

// Of a directory that was not there before only empty parts go: somebody else may be using it by now.
function removeDirectory() {
  for (const part of ["v1/instances", "v1/mdc", "v1", ""]) {
    try {
      rmdirSync(join(directory, part));
    } catch {
      // in use, or never made
    }
  }
}

function finish() {
  if (isOurDirectory) removeDirectory();
  if (url !== "") say(`stopped after ${((Date.now() - stoppingSince) / 1000).toFixed(1)} s`);
  process.exit(exitCode);
}

function killAll() {
  for (const child of children.values()) child.kill("SIGKILL");
}

function stop(reason, code) {
  if (stoppingSince) return;
  stoppingSince = Date.now();
  exitCode = code;
  if (reason) say(reason);
  for (const child of children.values()) child.kill("SIGTERM");
  setTimeout(() => {
    say(`${[...children.keys()].join(", ")} did not end in time: killed`);
    killAll();
  }, drainMs + lateMs);
  if (children.size === 0) finish();
}

function onSignal() {
  if (!stoppingSince) stop("stopping: waiting for running requests; press Ctrl-C again to end at once", 0);
  else if (Date.now() - stoppingSince > echoWithinMs) killAll();
}
for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"]) process.on(signal, onSignal);
// Whoever read our output has gone.
process.stderr.on("error", () => stop("", 1));

async function ask(path, body) {
  const headers = { "content-type": "application/json" };
  const signal = AbortSignal.timeout(readyWithinMs);
  const response = await fetch(`${url}${path}`, {
    signal,
    headers,
    ...(body && { method: "POST", body: JSON.stringify(body) }),
  });
  return response.json();
}

function nextMessage(child) {
  return new Promise((resolve) => child.once("message", resolve));
}

// Asked for a completion only once the workers are there: earlier it would be an error in the log of a healthy start.
async function waitUntilReady(ids) {
  const deadline = Date.now() + readyWithinMs;
  for (;;) {
    const { instances, models } = await ask("/health");
    const isThere = (id) => instances.some(({ instance_id }) => instance_id === id);
    if (ids.every(isThere) && models.includes("mock")) break;
    if (Date.now() > deadline) throw new Error(`the workers are not listed after ${readyWithinMs / 1000} s`);
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
  const { choices, error } = await ask("/v1/chat/completions", {
    model: "mock",
    messages: [{ role: "user", content: "are you there" }],
  });
  if (!choices) throw new Error(error?.message);
}

const listening = await nextMessage(start("frontend", frontend, args));
url = listening.url.replace("//0.0.0.0:", "//127.0.0.1:").replace("//[::]:", "//[::1]:");
const shared = flags.filter(({ name }) => sharedFlags.has(name)).flatMap(({ given }) => given);
const workers = ["worker 1", "worker 2"].map((name) => start(name, worker, ["--model-name", "mock", ...shared]));
const registered = await Promise.all(workers.map(nextMessage));
await waitUntilReady(registered.flatMap(({ instances }) => instances)).catch((error) =>
  stop(`no completion succeeded: ${error.cause?.message ?? error.message}`, 1),
);
if (!stoppingSince) {
  say(`
dyn is ready: a completion has succeeded. In another terminal, in this directory, try it:

  curl ${url}/v1/chat/completions -H 'content-type: application/json' \\
    -d '{"model":"mock","messages":[{"role":"user","content":"hello from the other side"}],"stream":true}'

Start another worker there with:${directory === defaultDirectory ? "" : ` DYN_FILE_KV=${directory}`} npx --no-install dyn-mock-worker${sharing} --model-name second
Look next at ${url}/docs, which describes the API, and at /v1/models, /health and /metrics.
${isQuiet ? "Only warnings are logged; DYN_LOG=info npm start shows every request. " : ""}docs/logging.md explains the lines.
Ctrl-C stops everything.
`);
}
