// The walk of one unary chat of ten tokens through the frontend and its worker, both in this process: what of our code it enters, and what it makes.
// V8 counts the calls: what stands between two moments of a warm process, of which this request is all that happens.
import { spawn } from "node:child_process";
import { createHook } from "node:async_hooks";
import { once } from "node:events";
import { mkdtempSync, rmSync } from "node:fs";
import { Session, type Profiler } from "node:inspector";
import { createConnection, type Socket } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as wait } from "node:timers/promises";
import { fileURLToPath } from "node:url";

const content = "one two three four five six seven eight nine ten";
const warmRequests = 500;
/** Long enough for the lines and frames that come after the answer. */
const settleMs = 100;
/** The walk with the fewest calls is shown: in the others a timer went off. */
const rounds = 9;

/** A function of ours, and how often it was called. */
interface Entered {
  readonly file: string;
  readonly name: string;
  readonly calls: number;
}

const root = fileURLToPath(new URL("..", import.meta.url));
const sources = new URL("../packages/", import.meta.url).href;

function post(session: Session, method: "takePreciseCoverage"): Promise<Profiler.TakePreciseCoverageReturnType> {
  return new Promise((resolve, reject) =>
    session.post(`Profiler.${method}`, (error, result) => (error ? reject(error) : resolve(result))),
  );
}

function start(session: Session): void {
  session.connect();
  session.post("Profiler.enable");
  session.post("Profiler.startPreciseCoverage", { callCount: true, detailed: false });
}

function toEntered({ result }: Profiler.TakePreciseCoverageReturnType): Entered[] {
  return result.flatMap(({ url, functions }) => {
    const isOurs = url.startsWith(sources) && !url.includes("/node_modules/");
    const file = url.slice(sources.length).replace("/dist/", "/").replace(/\.js$/, "");
    const isLogger = url.endsWith("/pino/lib/proto.js");
    if (!isOurs && !isLogger) return [];
    return functions.flatMap(({ functionName, ranges: [range] }) => {
      const calls = range?.count ?? 0;
      if (calls === 0 || (isLogger && functionName !== "child")) return [];
      return [{ file: isOurs ? file : "pino", name: functionName || "(anonymous)", calls }];
    });
  });
}

// Without a promise or a library of its own, so that what is counted is the servers'.
function ask(socket: Socket, body: string, onAnswer: (text: string) => void): void {
  let text = "";
  socket.on("data", function onData(chunk: Buffer) {
    text += chunk.toString();
    const length = /content-length: (\d+)\r\n/i.exec(text)?.[1];
    const end = text.indexOf("\r\n\r\n");
    if (length === undefined || end < 0 || text.length < end + 4 + Number(length)) return;
    socket.off("data", onData);
    onAnswer(text);
  });
  const head = ["POST /v1/chat/completions HTTP/1.1", "host: localhost", "content-type: application/json"];
  socket.write([...head, `content-length: ${body.length}`, "", body].join("\r\n"));
}

function asked(socket: Socket, body: string): Promise<string> {
  return new Promise((resolve) => ask(socket, body, resolve));
}

interface Walk {
  readonly entered: readonly Entered[];
  readonly promises: number;
}

async function walkOnce(session: Session, socket: Socket, body: string): Promise<Walk> {
  await wait(settleMs);
  let promises = 0;
  const hook = createHook({ init: (_id, type) => void (type === "PROMISE" && (promises += 1)) });
  await post(session, "takePreciseCoverage"); // begins the counts anew
  const over = once(process, "walked");
  hook.enable();
  ask(socket, body, () => setTimeout(() => process.emit("walked" as never), settleMs));
  await over;
  hook.disable();
  return { entered: toEntered(await post(session, "takePreciseCoverage")), promises };
}

const callsOf = (entered: readonly Entered[]): number => entered.reduce((sum, { calls }) => sum + calls, 0);

async function walk(): Promise<Walk> {
  const session = new Session();
  start(session); // before the code is loaded: afterwards its functions have no names
  const { createFrontend } = await import("@dyn/frontend");
  const { startMockWorker } = await import("@dyn/mock-worker");
  const directory = mkdtempSync(join(tmpdir(), "dyn-walk-"));
  const config = { fileKv: directory, log: "info", logJsonl: true };
  await using _worker = await startMockWorker({ config });
  await using frontend = await createFrontend({ httpPort: 0, config });
  const socket = createConnection({ port: frontend.port, host: "127.0.0.1" });
  await once(socket, "connect");
  const body = JSON.stringify({ model: "mock", messages: [{ role: "user", content }] });
  while (!(await asked(socket, body)).startsWith("HTTP/1.1 200")) await wait(settleMs);
  for (let index = 0; index < warmRequests; index += 1) await asked(socket, body);
  const walks: Walk[] = [];
  for (let round = 0; round < rounds; round += 1) walks.push(await walkOnce(session, socket, body));
  socket.destroy();
  rmSync(directory, { recursive: true, force: true });
  const [least] = walks.toSorted((left, right) => callsOf(left.entered) - callsOf(right.entered));
  if (!least) throw new Error("nothing was walked");
  return least;
}

function isLoggerMade({ file, name }: Entered): boolean {
  return file === "pino" || (file === "runtime/logging/logger" && name === "BoundLogger");
}

function show({ entered, promises }: Walk, isLong: boolean): void {
  const own = entered.filter(({ file }) => file !== "pino");
  const all = callsOf(own);
  const files = new Set(own.map(({ file }) => file));
  const roomOf = (file: string): string => file.split("/").slice(0, 2).join("/");
  const calls = new Map<string, number>();
  for (const { file, calls: count } of own) {
    for (const key of new Set([roomOf(file), file])) calls.set(key, (calls.get(key) ?? 0) + count);
  }
  const share = (key: string): string => `${(((calls.get(key) ?? 0) / all) * 100).toFixed(0)} %`;
  const rooms = [...new Set([...files].map(roomOf))].toSorted(
    (left, right) => (calls.get(right) ?? 0) - (calls.get(left) ?? 0),
  );
  console.log(`one unary chat of ten tokens, frontend and worker, warm, lines at info, spans off
files      ${files.size}
functions  ${own.length}
calls      ${all}, of these ${share("runtime/wire")} in runtime/wire, ${share("runtime/wire/msgpack-check")} in msgpack-check
loggers    ${callsOf(entered.filter(isLoggerMade))}
promises   ${promises}, those of Node.js too
calls by room: ${rooms.map((room) => `${room} ${calls.get(room)}`).join(", ")}`);
  if (!isLong) return;
  for (const { file, name, calls: count } of own.toSorted((left, right) => right.calls - left.calls))
    console.log(`${String(count).padStart(5)}  ${file} ${name}`);
}

const [mode, flag] = process.argv.slice(2);
if (mode === "--inside") show(await walk(), flag === "--functions");
else {
  // In a process of its own, whose log lines nobody needs.
  const args = [fileURLToPath(import.meta.url), "--inside", ...process.argv.slice(2)];
  const child = spawn(process.execPath, args, { cwd: root, stdio: ["ignore", "inherit", "ignore"] });
  const [code] = (await once(child, "exit")) as [number | null];
  process.exitCode = code ?? 1;
}
