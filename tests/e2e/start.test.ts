// `npm start` as a new user meets it: what it prints, what joins it, and every way it ends.
import { execFile } from "node:child_process";
import { chmod, mkdtemp, readdir, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { promisify } from "node:util";
import { expect, test } from "vitest";
import { eventually, postChat, startProgram, type Program } from "../support/cluster.ts";

const run = promisify(execFile);
// Of the default directory; those of other users have others.
const ownName = `dyn-${process.geteuid?.()}`;

interface Start extends AsyncDisposable {
  /** `npm start` itself, or rather what it execs. */
  readonly program: Program;
  readonly url: string;
  /** Where temporary files go, the discovery's default directory among them. */
  readonly temporary: string;
  readonly children: readonly number[];
}

interface Beginning {
  readonly args?: readonly string[];
  readonly env?: Readonly<Record<string, string>>;
}

async function begin({ args = [], env = {} }: Beginning, temporary: string): Promise<Program> {
  return startProgram("node", ["scripts/start.mjs", ...args], { DYN_LOGGING_JSONL: "", TMPDIR: temporary, ...env });
}

async function beginReady(beginning: Beginning = {}): Promise<Start> {
  const temporary = await mkdtemp(join(tmpdir(), "dyn-start-"));
  const program = await begin({ ...beginning, args: ["--http-port", "0", ...(beginning.args ?? [])] }, temporary);
  await eventually("readiness", () => program.stderr().includes("dyn is ready") || program.child.exitCode !== null);
  const url = /curl (http:\S+)\/v1\/chat\/completions/.exec(program.stderr())?.[1];
  if (url === undefined) throw new Error(`not ready:\n${program.stderr()}`);
  const children = await childrenOf(program.pid);
  return {
    program,
    url,
    temporary,
    children,
    async [Symbol.asyncDispose]() {
      await program[Symbol.asyncDispose]();
      for (const pid of children) if (isRunning(pid)) process.kill(pid, "SIGKILL");
      await rm(temporary, { recursive: true, force: true });
    },
  };
}

async function childrenOf(parent: number): Promise<number[]> {
  const { stdout } = await run("ps", ["-axo", "pid=,ppid="]);
  const pairs = stdout
    .trim()
    .split("\n")
    .map((line) => line.trim().split(/\s+/).map(Number));
  return pairs.flatMap(([pid = -1, ppid]) => (ppid === parent ? [pid] : []));
}

function isRunning(pid: number): boolean {
  try {
    return process.kill(pid, 0);
  } catch {
    return false;
  }
}

async function listModels(url: string): Promise<string[]> {
  const { data } = (await (await fetch(`${url}/v1/models`)).json()) as { data: { id: string }[] };
  return data.map(({ id }) => id);
}

test("a healthy start says nothing but how to use it, and SIGTERM leaves nothing behind", async () => {
  await using start = await beginReady({ env: { DYN_TCP_RPC_PORT: "1", DYN_SYSTEM_PORT: "1" } });
  expect(start.program.stderr()).not.toMatch(/ERROR|WARN|INFO/);
  const response = await postChat(start.url, { model: "mock", messages: [{ role: "user", content: "hello" }] });
  expect(await response.json()).toMatchObject({ choices: [{ message: { content: "hello" } }] });
  start.program.kill("SIGTERM");
  expect(await start.program.exited).toBe(0);
  expect(start.program.stderr()).toMatch(/\nstopped after \d+\.\d s\n$/);
  expect(await readdir(start.temporary)).toEqual([]);
  expect(start.children.filter(isRunning)).toEqual([]);
  await expect(fetch(`${start.url}/live`)).rejects.toThrow();
});

test("a worker of the same machine joins without a word about directories, and keeps its own when the rest ends", async () => {
  await using start = await beginReady();
  await using second = startProgram("dyn-mock-worker", ["--model-name", "second"], { TMPDIR: start.temporary });
  await eventually("the second model", async () => (await listModels(start.url)).includes("second"));
  expect(start.program.stderr()).toContain("with: npx --no-install dyn-mock-worker --model-name second");
  start.program.kill("SIGHUP"); // the terminal has been closed
  expect(await start.program.exited).toBe(0);
  expect(await readdir(join(start.temporary, ownName, "v1/mdc"))).toHaveLength(1);
  second.kill("SIGTERM");
  expect(await second.exited).toBe(0);
});

test("flags reach whom they concern, and the hint names a directory that is not the default", async () => {
  const directory = await mkdtemp(join(tmpdir(), "dyn-kv-"));
  await chmod(directory, 0o777);
  const args = [
    `--file-kv=${directory}`,
    "--file-kv-shared",
    "--namespace",
    "dynamo",
    "--log",
    "info",
    "--log-jsonl",
    "true",
  ];
  await using start = await beginReady({ args });
  expect(start.program.lines().filter(({ message }) => message === "endpoint is serving")).toHaveLength(2);
  expect(start.program.stderr()).toContain(
    `DYN_FILE_KV=${directory} npx --no-install dyn-mock-worker --file-kv-shared --model-name second`,
  );
  start.program.kill("SIGTERM");
  expect(await start.program.exited).toBe(0);
  expect(await readdir(join(directory, "v1/instances"))).toEqual([]);
  await rm(directory, { recursive: true });
});

test("if it is killed its children notice, drain and end", async () => {
  await using start = await beginReady();
  start.program.kill("SIGKILL");
  await eventually("their end", () => !start.children.some(isRunning));
  expect(await readdir(join(start.temporary, ownName, "v1/instances"))).toEqual([]);
});

test("a child that does not drain in time is killed", async () => {
  const args = ["--drain-timeout-ms", "0", "--http-graceful-shutdown-timeout-secs", "0"];
  await using start = await beginReady({ args });
  process.kill(start.children.at(-1) ?? -1, "SIGSTOP");
  start.program.kill("SIGTERM");
  expect(await start.program.exited).toBe(0);
  expect(start.program.stderr()).toContain("worker 2 did not end in time: killed");
  expect(start.children.filter(isRunning)).toEqual([]);
});

test("what cannot start is explained by the frontend's own line alone", async () => {
  await using blocker = await beginReady();
  const { port } = new URL(blocker.url);
  const cases: readonly (readonly [Beginning, string])[] = [
    [{ args: ["--http-port", port] }, `dyn-frontend: cannot listen on http://127.0.0.1:${port}: `],
    [{ env: { DYN_HTTP_PORT: "abc" } }, 'dyn-frontend: DYN_HTTP_PORT="abc": expected a whole number'],
    [{ env: { DYN_HTTP_HOST: "nosuch.invalid" } }, "dyn-frontend: cannot listen on http://nosuch.invalid:8000: "],
    [{ args: ["--no-such-flag"] }, "unknown option '--no-such-flag'"],
    [{ args: ["--discovery-backend", "mem"] }, "npm start runs three processes"],
  ];
  for (const [beginning, message] of cases) {
    await using program = await begin(beginning, blocker.temporary);
    expect(await program.exited).toBe(1);
    expect(program.stderr()).toContain(message);
    expect(program.stderr().trim().split("\n")).toHaveLength(1);
  }
});

test("--help says what becomes of flags, and lists the frontend's", async () => {
  await using program = await begin({ args: ["--help"] }, tmpdir());
  expect(await program.exited).toBe(0);
  expect(program.stdout()).toContain("npm start [-- FLAGS]");
  expect(program.stdout()).toContain("--http-port");
});
