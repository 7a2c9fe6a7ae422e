// Following requests by id through real processes: the command on their logs, and the route on a running frontend.
import { execFile, execFileSync, spawn } from "node:child_process";
import { randomUUID } from "node:crypto";
import { once } from "node:events";
import { readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { Readable, type Writable } from "node:stream";
import { expect, test } from "vitest";
import { traceRequests } from "../../packages/lineage/src/trace-command.ts";
import {
  chat,
  eventually,
  postChat,
  root,
  startCluster,
  startProgram,
  type Cluster,
  type Program,
} from "../support/cluster.ts";

interface Traced {
  readonly code: number | NodeJS.Signals;
  readonly stdout: string;
  readonly stderr: string;
}

async function run(...args: string[]): Promise<Traced> {
  await using program = startProgram("dyn-frontend", ["trace", ...args]);
  const code = await program.exited;
  return { code, stdout: program.stdout(), stderr: program.stderr() };
}

/** The same without a process. */
async function traceHere(id: string, files: readonly string[]): Promise<Traced> {
  const [printed, remarks]: [string[], string[]] = [[], []];
  const print = (text: string): void => void printed.push(text);
  const remark = (text: string): void => void remarks.push(text);
  const isWhole = await traceRequests({
    id,
    files,
    json: false,
    limit: 10,
    columns: 100,
    color: false,
    input: Readable.from([]),
    print,
    remark,
  });
  return { code: isWhole ? 0 : 1, stdout: printed.join(""), stderr: remarks.join("\n") };
}

function runShell(command: string): Promise<Traced> {
  const env = { ...process.env, PATH: `${join(root, "node_modules/.bin")}:${process.env["PATH"] ?? ""}` };
  return new Promise((resolve) => {
    execFile("sh", ["-c", command], { env }, (error, stdout, stderr) =>
      resolve({ code: Number(error?.code ?? 0), stdout, stderr }),
    );
  });
}

/** What all processes have written so far, one file each. */
async function saveLogs({ directory, frontend, workers }: Cluster): Promise<string[]> {
  const programs = [frontend, ...workers];
  const files = programs.map((_, index) => join(directory, index === 0 ? "frontend.jsonl" : `worker-${index}.jsonl`));
  await Promise.all(programs.map((program, index) => writeFile(files[index] ?? "", program.stderr())));
  return files;
}

function hasLine(program: Program | undefined, xRequestId: string, message: string): boolean {
  return program?.lines().some((line) => line["x_request_id"] === xRequestId && line["message"] === message) ?? false;
}

function completed(programs: readonly (Program | undefined)[], xRequestId: string): Promise<unknown> {
  return eventually(`the completion of ${xRequestId}`, () =>
    programs.every((program) => hasLine(program, xRequestId, "request completed")),
  );
}

async function getRequest(url: string, id: string): Promise<{ status: number; body: Record<string, unknown> }> {
  const response = await fetch(`${url}/v1/requests/${encodeURIComponent(id)}`);
  return { status: response.status, body: (await response.json()) as Record<string, unknown> };
}

test("50 requests over four processes: each lineage is whole, found in the logs by any of its ids", async () => {
  await using cluster = await startCluster({ workers: 3, workerArgs: ["--itl-ms", "1"] });
  const ids = await Promise.all(
    Array.from({ length: 50 }, async (_, index) => {
      const xRequestId = `client-${index}-${randomUUID()}`;
      const response = await postChat(cluster.url, chat("one two three", { stream: index % 2 === 0 }), {
        "x-request-id": xRequestId,
      });
      await response.text();
      expect(response.status).toBe(200);
      return { xRequestId, requestId: String(response.headers.get("request-id")) };
    }),
  );
  for (const { xRequestId } of ids) {
    await completed([cluster.frontend], xRequestId);
    await eventually("the worker's line", () =>
      cluster.workers.some((worker) => hasLine(worker, xRequestId, "request completed")),
    );
  }
  const files = await saveLogs(cluster);
  for (const [index, { xRequestId, requestId }] of ids.entries()) {
    const id = [xRequestId, requestId, `chatcmpl-${requestId}`][index % 3] ?? "";
    // A few by the command: each is a process, and fifty of them are minutes on a machine that has other work.
    const { code, stdout, stderr } = index < 6 ? await run(id, ...files.toReversed()) : await traceHere(id, files);
    expect(`${stderr}${stdout}`).toContain("✓ the lineage is whole");
    expect(stdout).toContain(requestId);
    expect(code).toBe(0);
  }
  const { body } = await getRequest(cluster.url, ids[7]?.requestId ?? "");
  const { stdout } = await run(ids[7]?.requestId ?? "", ...files, "--json");
  const fromLogs = JSON.parse(stdout) as { request: object; attempts: { workers: object[] }[] };
  // The same tree from memory and from the logs, but for what only one of them knows.
  expect(body).toMatchObject({ problems: [], state: "completed", strays: [] });
  const {
    received_at: _received,
    responded_at: _responded,
    ended_at: _ended,
    ...request
  } = body["request"] as Record<string, unknown>;
  expect(fromLogs.request).toMatchObject(request);
  const [attempt] = body["attempts"] as { span_id: string; worker_id: string; workers: Record<string, unknown>[] }[];
  expect(fromLogs.attempts[0]).toMatchObject({ span_id: attempt?.span_id, worker_id: attempt?.worker_id });
  expect(fromLogs.attempts[0]?.workers[0]).toMatchObject(attempt?.workers[0] ?? {});
});

test("a worker killed in the middle of a stream: its completion is unknown, and the exit code says so", async () => {
  await using cluster = await startCluster({ workerArgs: ["--fault", "hang@2"] });
  const response = await postChat(cluster.url, chat("word ".repeat(500), { stream: true }), {
    "x-request-id": "killed",
  });
  await response.body?.getReader().read();
  await eventually("the worker's line", () => hasLine(cluster.workers[0], "killed", "request received"));
  cluster.workers[0]?.kill("SIGKILL");
  await completed([cluster.frontend], "killed");
  const files = await saveLogs(cluster);
  const { code, stdout } = await run("killed", ...files);
  expect(code).toBe(1);
  expect(stdout).toMatch(/missing +"request completed" of instance \d+ for attempt 0: it was killed/);
  expect(stdout).toMatch(/worker_disconnected/);
  const without = await run("killed", files[0] ?? "");
  expect(without.code).toBe(1);
  expect(without.stdout).toMatch(
    /missing +attempt 0: 1 log was looked at, and there is no line of instance\s+\d+:\s+its\s+completion\s+is\s+unknown/,
  );
  expect((await getRequest(cluster.url, "killed")).body).toMatchObject({
    request: { status: "error", http_status: 200 },
    attempts: [{ outcome: "worker_disconnected", error_type: "disconnected", sent: true, workers: [] }],
    problems: [],
  });
});

test("a retry at another worker is a whole lineage of two attempts", async () => {
  await using cluster = await startCluster({ workers: 2 });
  cluster.workers[0]?.kill("SIGKILL");
  await cluster.workers[0]?.exited;
  const ids = ["retry-1", "retry-2"];
  for (const id of ids) expect((await postChat(cluster.url, chat("one two"), { "x-request-id": id })).status).toBe(200);
  for (const id of ids) await completed([cluster.frontend, cluster.workers[1]], id);
  const files = await saveLogs(cluster);
  const traced = await Promise.all(ids.map((id) => run(id, ...files)));
  expect(traced.map(({ code }) => code)).toEqual([0, 0]);
  expect(traced.map(({ stdout }) => stdout).join("")).toMatch(
    /attempt 0 at \d+ .* (?:connection_failed {2}never sent|worker_disconnected)\n.*attempt 1 at \d+ .* success/,
  );
});

test("logs from pipes, named and not, and from a socket are looked at: with all of them whole, without a worker's not", async () => {
  await using cluster = await startCluster();
  expect((await postChat(cluster.url, chat("one two"), { "x-request-id": "piped" })).status).toBe(200);
  await completed([cluster.frontend, ...cluster.workers], "piped");
  const [frontend = "", worker = ""] = await saveLogs(cluster);
  for (const file of [frontend, worker]) execFileSync("mkfifo", [`${file}.pipe`]);
  const [fill, node] = [`cat ${worker} >${worker}.pipe &`, `dyn-frontend trace piped`];
  const whole = [
    `cat ${frontend} ${worker} | ${node} -`,
    `cat ${frontend} ${worker} | ${node} /dev/stdin --json`,
    `${fill} cat ${frontend} | ${node} /dev/stdin ${worker}.pipe`,
    `${fill} ${node} ${frontend} /dev/fd/3 3<${worker}.pipe`,
    `cat ${worker} >${worker}.pipe && cat ${frontend} >${frontend}.pipe & ${node} ${frontend}.pipe ${worker}.pipe`,
  ];
  for (const command of whole) {
    const { code, stdout, stderr } = await runShell(command);
    expect([command, code, stderr]).toEqual([
      command,
      0,
      expect.stringMatching(/: JSONL, \d+ lines, \d+ of dyn, [2-7] of this request\n$/),
    ]);
    expect(stdout).toMatch(/^✓ the lineage is whole \(5 lines|"problems":\[\]/m);
  }
  for (const flag of ["", "--json"]) {
    const { code, stdout } = await runShell(`cat ${frontend} | ${node} - ${flag}`);
    expect([code, stdout]).toEqual([1, expect.stringMatching(/there is no line of instance/)]);
  }
  // What Node gives its children is no pipe, but a socket.
  for (const fd of [0, 3]) {
    const stdio = ["ignore", "ignore", "ignore", "ignore"].with(fd, "pipe") as ("ignore" | "pipe")[];
    const child = spawn(join(root, "node_modules/.bin/dyn-frontend"), ["trace", "piped", frontend, `/dev/fd/${fd}`], {
      stdio,
    });
    const exit = once(child, "exit");
    (child.stdio[fd] as Writable).end(await readFile(worker));
    expect(await exit).toEqual([0, null]);
  }
});

test("an id that is in none of the logs is no lineage: --json prints nothing, and the exit code says so", async () => {
  const { code, stdout, stderr } = await runShell(`: | dyn-frontend trace order-1 - --json`);
  expect([code, stdout]).toEqual([2, ""]);
  expect(stderr).toBe(
    "dyn-frontend trace: stdin: empty\ndyn-frontend trace: no JSON line in 1 log (0 bytes) has the id order-1\n",
  );
});

test("prefill and decode workers: one lineage with two attempts", async () => {
  await using cluster = await startCluster({ workers: 0 });
  for (const mode of ["prefill", "decode"]) await cluster.addWorker("--disaggregation-mode", mode);
  expect((await postChat(cluster.url, chat("one two"), { "x-request-id": "both" })).status).toBe(200);
  await completed([cluster.frontend, ...cluster.workers], "both");
  const { code, stdout } = await run("both", ...(await saveLogs(cluster)));
  expect(stdout).toContain("✓ the lineage is whole (7 lines of 3 logs)");
  expect(code).toBe(0);
  expect((await getRequest(cluster.url, "both")).body).toMatchObject({
    attempts: [{ attempt: 0 }, { attempt: 0 }],
    problems: [],
  });
});

test("GET /v1/requests/{id} shows a request while it runs and when it is over, by either id", async () => {
  await using cluster = await startCluster({ workerArgs: ["--fault", "hang@2"] });
  const aborter = new AbortController();
  const response = await postChat(
    cluster.url,
    chat("word ".repeat(500), { stream: true }),
    { "x-request-id": "a/b_c?" },
    aborter.signal,
  );
  await response.body?.getReader().read();
  const requestId = String(response.headers.get("request-id"));
  const running = await getRequest(cluster.url, requestId);
  expect(running).toMatchObject({
    status: 200,
    body: {
      request_id: requestId,
      x_request_id: "a/b_c?",
      state: "running",
      request: { endpoint: "chat_completions", model: "mock", request_type: "stream", http_status: 200, attempts: 1 },
      attempts: [{ attempt: 0, sent: true, workers: [] }],
      problems: [],
    },
  });
  aborter.abort();
  await completed([cluster.frontend], "a/b_c?");
  const over = await getRequest(cluster.url, "a/b_c?");
  expect(over.body).toMatchObject({
    request_id: requestId,
    state: "completed",
    request: { status: "cancelled", error_type: "cancelled" },
    attempts: [{ outcome: "cancelled" }],
    problems: [],
  });
  expect(await getRequest(cluster.url, `chatcmpl-${requestId}`)).toEqual(over);
  // An operator's route: no inference request of its own.
  expect(await getRequest(cluster.url, "nobody")).toMatchObject({
    status: 404,
    body: { error: { type: "invalid_request_error", code: "request_not_found" } },
  });
  const received = cluster.frontend.lines().filter(({ message }) => message === "request received");
  expect(received).toHaveLength(1);
});

test("the history keeps as many requests as it is told to, and can be off", async () => {
  await using cluster = await startCluster({ frontendArgs: ["--request-history", "3"] });
  for (let index = 0; index < 5; index += 1) {
    const response = await postChat(cluster.url, chat("hi"), { "x-request-id": index < 4 ? "same" : "other" });
    expect(response.status).toBe(200);
  }
  await completed([cluster.frontend], "other");
  const { body } = await getRequest(cluster.url, "same");
  expect(body["others"]).toHaveLength(1);
  await using off = startProgram("dyn-frontend", ["--http-port", "0"], {
    DYN_FILE_KV: cluster.directory,
    DYN_REQUEST_HISTORY: "0",
  });
  const listening = await eventually("the frontend", () =>
    off.lines().find(({ message }) => message === "frontend is listening"),
  );
  const answer = await getRequest(String(listening["url"]), "same");
  expect(answer.status).toBe(404);
  expect(JSON.stringify(answer.body)).toContain("--request-history 0");
});

test.each<[string[], number, RegExp]>([
  [[], 2, /^dyn-frontend trace: missing required argument 'id'; see dyn-frontend trace --help\n$/],
  [["x"], 2, /^dyn-frontend trace: missing required argument 'log'; see dyn-frontend trace --help\n$/],
  [["x", "/nowhere.jsonl"], 2, /^dyn-frontend trace: cannot read \/nowhere\.jsonl: ENOENT[^\n]*\n$/],
  [
    ["nobody", "package.json"],
    2,
    /^dyn-frontend trace: package\.json: text, no JSONL of dyn [^\n]*, 0 of this request\ndyn-frontend trace: no JSON line in 1 log \(\d+ bytes\) has the id nobody\n$/,
  ],
  [
    ["x", "package.json", "--limit", "0"],
    2,
    /^dyn-frontend trace: option '--limit <count>' argument '0' is invalid\. expected a whole number from 1 to 30; /,
  ],
  [
    ["x", "package.json", "--http-port", "1"],
    2,
    /^dyn-frontend trace: unknown option '--http-port'; see dyn-frontend trace --help\n$/,
  ],
])("dyn-frontend trace %j says what is wrong in one line and exits %i", async (args, code, message) => {
  const traced = await run(...args);
  expect(traced.stderr).toMatch(message);
  expect(traced.code).toBe(code);
});

test("dyn-frontend --help mentions the command, and the command explains itself", async () => {
  await using program = startProgram("dyn-frontend", ["--help"]);
  expect(await program.exited).toBe(0);
  expect(program.stdout()).toMatch(/^ {2}trace \[options\] <id> <log\.\.\.> +follow one request/m);
  const { code, stdout } = await run("--help");
  expect(code).toBe(0);
  for (const text of [
    "--json",
    "--limit",
    "Exit code: 0",
    "1 something is missing",
    "2 wrong usage",
    "standard input",
    "░",
  ])
    expect(stdout).toContain(text);
});
