// Joining, leaving, cancelling, draining: processes and signals.
import { expect, test } from "vitest";
import {
  chat,
  eventually,
  postChat,
  release,
  startCluster,
  startProgram,
  type ClusterOptions,
  type Line,
  type Program,
} from "../support/cluster.ts";

// A request is held after its first two tokens until it is released, however long that takes.
const held: ClusterOptions = { workerArgs: ["--fault", "hang@2"], env: { DYN_SYSTEM_PORT: "0" } };

test("without a worker the model is unknown; one that joins gets traffic", async () => {
  await using cluster = await startCluster({ workers: 0 });
  expect((await postChat(cluster.url, chat("hi"))).status).toBe(404);
  await using worker = startProgram("dyn-mock-worker", [], { DYN_FILE_KV: cluster.directory });
  await eventually("the worker serving", () => worker.lines().some(({ message }) => message === "endpoint is serving"));
  await eventually("an answer", async () => (await postChat(cluster.url, chat("hi"))).ok);
});

test("workers share the traffic, and one that leaves gets nothing more while it drains", async () => {
  await using cluster = await startCluster({ ...held, workers: 2 });
  const [staying, leaving] = cluster.workers as [Program, Program];
  const count = (worker: Program, message: string): number =>
    worker.lines().filter((line) => line["message"] === message).length;
  const aborter = new AbortController();
  const streams = [1, 2].map(() =>
    postChat(cluster.url, chat("word ".repeat(1_000), { stream: true }), {}, aborter.signal),
  );
  await eventually("both being busy", () =>
    [staying, leaving].every((worker) => count(worker, "request received") === 1),
  );
  leaving.kill("SIGTERM");
  await eventually("its instance being gone", async () => {
    const health = (await (await fetch(`${cluster.url}/health`)).json()) as { instances: unknown[] };
    return health.instances.length === 1;
  });
  for (let index = 0; index < 10; index += 1) expect((await postChat(cluster.url, chat("hi"))).status).toBe(200);
  expect(leaving.child.exitCode).toBeNull(); // it still runs its request
  expect(count(leaving, "request received")).toBe(1);
  expect(count(leaving, "request refused")).toBe(0);
  expect(count(staying, "request received")).toBe(11);
  for (const { body } of await Promise.all(streams)) await body?.getReader().read();
  aborter.abort();
  expect(await leaving.exited).toBe(0);
});

test("a client that leaves aborts the engine, and both sides say cancelled", async () => {
  await using cluster = await startCluster(held);
  const aborter = new AbortController();
  const response = await postChat(cluster.url, chat("word ".repeat(1_000), { stream: true }), {}, aborter.signal);
  await response.body?.getReader().read();
  aborter.abort();
  for (const program of [cluster.frontend, ...cluster.workers]) {
    const completed = await eventually("completion", () =>
      program.lines().find(({ message }) => message === "request completed"),
    );
    expect(completed).toMatchObject({ level: "INFO", status: "cancelled", error_type: "cancelled" });
    expect(completed["output_tokens"]).toBeGreaterThan(0);
  }
});

test("a worker on SIGTERM finishes what is running and exits 0", async () => {
  await using cluster = await startCluster(held);
  const answer = postChat(cluster.url, chat("a b c d", { stream: true })).then((response) => response.text());
  await eventually("the request", () =>
    cluster.workers[0]?.lines().some(({ message }) => message === "request received"),
  );
  cluster.workers[0]?.kill("SIGTERM");
  await eventually("the model being gone", async () => (await fetch(`${cluster.url}/v1/models/mock`)).status === 503);
  for (const gone of [await fetch(`${cluster.url}/v1/models/mock`), await postChat(cluster.url, chat("hi"))]) {
    expect([gone.status, gone.headers.get("retry-after")]).toEqual([503, "1"]); // another worker may be about to come
  }
  expect(cluster.workers[0]?.child.exitCode).toBeNull(); // it still runs its request
  await release(cluster.workers[0]);
  expect((await answer).endsWith("data: [DONE]\n\n")).toBe(true);
  expect(await cluster.workers[0]?.exited).toBe(0);
  const elapsed_ms: unknown = expect.any(Number);
  const stopped = { level: "INFO", target: "dyn_runtime", message: "stopped", finished: 1, cut: 0, elapsed_ms };
  expect(cluster.workers[0]?.lines().at(-1)).toMatchObject(stopped);
});

test("a worker whose drain takes too long says how many requests it has cut", async () => {
  await using cluster = await startCluster({
    workerArgs: ["--fault", "hang@2", "--migration-limit", "0", "--drain-timeout-ms", "0"],
  });
  const answer = postChat(cluster.url, chat("a b c d", { stream: true })).then((response) => response.text());
  await eventually("the request", () =>
    cluster.workers[0]?.lines().some(({ message }) => message === "request received"),
  );
  cluster.workers[0]?.kill("SIGTERM");
  expect(await answer).toContain("the worker is shutting down");
  expect(await cluster.workers[0]?.exited).toBe(0);
  expect(cluster.workers[0]?.lines().at(-1)).toMatchObject({ message: "stopped", finished: 0, cut: 1 });
});

test("a worker whose drain takes too long ends its requests with an error and exits 0", async () => {
  await using cluster = await startCluster({ workerArgs: ["--fault", "hang@2", "--drain-timeout-ms", "100"] });
  const answer = postChat(cluster.url, chat("a b c d", { stream: true })).then((response) => response.text());
  await eventually("the request", () =>
    cluster.workers[0]?.lines().some(({ message }) => message === "request received"),
  );
  cluster.workers[0]?.kill("SIGTERM");
  expect(await cluster.workers[0]?.exited).toBe(0);
  const text = await answer;
  expect(text).toContain('"error":');
  expect(text).not.toContain("[DONE]");
  const warned = cluster.workers[0]
    ?.lines()
    .find(({ message }) => message === "drain timed out, running requests are killed");
  expect(warned).toMatchObject({ level: "WARN", drain_timeout_ms: 100 });
  const completed = cluster.workers[0]?.lines().find(({ message }) => message === "request completed");
  expect(completed).toMatchObject({
    level: "ERROR",
    status: "error",
    error_type: "unavailable",
    error: "the worker is shutting down",
  });
});

test("a frontend on SIGTERM finishes what is running and exits 0", async () => {
  await using cluster = await startCluster(held);
  const answer = postChat(cluster.url, chat("a b c d", { stream: true })).then((response) => response.text());
  await eventually("the request", () =>
    cluster.workers[0]?.lines().some(({ message }) => message === "request received"),
  );
  cluster.frontend.kill("SIGTERM");
  await eventually("the drain", () =>
    cluster.frontend.lines().some(({ message }) => String(message).startsWith("shutdown requested")),
  );
  await release(cluster.workers[0]);
  expect((await answer).endsWith("data: [DONE]\n\n")).toBe(true);
  expect(await cluster.frontend.exited).toBe(0);
  expect(cluster.frontend.lines().at(-1)).toMatchObject({
    level: "INFO",
    target: "dyn_frontend",
    message: "stopped",
    finished: 1,
    cut: 0,
  });
});

test("a frontend whose drain takes too long says so to its clients, blames no worker and exits 0", async () => {
  const settings = ["--http-graceful-shutdown-timeout-secs", "1"];
  await using cluster = await startCluster({ ...held, frontendArgs: settings });
  const stream = await postChat(cluster.url, chat("a b c d", { stream: true }));
  const unary = postChat(cluster.url, chat("a b c d"));
  await eventually(
    "both requests",
    () => cluster.workers[0]?.lines().filter(({ message }) => message === "request received").length === 2,
  );
  cluster.frontend.kill("SIGTERM");
  expect((await stream.text()).split("\n\n").at(-2)).toBe(
    'data: {"error":{"message":"the frontend is shutting down","type":"server_error","param":null,"code":"service_unavailable"}}',
  );
  const refused = await unary;
  expect(refused.status).toBe(503);
  expect(await refused.json()).toMatchObject({
    error: { message: "the frontend is shutting down", code: "service_unavailable" },
  });
  expect(await cluster.frontend.exited).toBe(0);
  const linesOf = (message: string): Line[] => cluster.frontend.lines().filter((line) => line["message"] === message);
  const gone = expect.objectContaining({
    level: "ERROR",
    error_type: "unavailable",
    error: "the frontend is shutting down",
  });
  expect(linesOf("request completed")).toEqual([gone, gone]);
  expect(linesOf("drain timed out, running requests are ended")).toEqual([
    expect.objectContaining({ level: "WARN", requests: 2, timeout_secs: 1 }),
  ]);
  expect(cluster.frontend.stderr()).not.toContain("closed the connection");
  expect(linesOf("stopped")).toEqual([expect.objectContaining({ finished: 0, cut: 2 })]);
  const atWorker = await eventually("the worker's lines", () => {
    const lines = cluster.workers[0]?.lines().filter(({ message }) => message === "request completed");
    return lines?.length === 2 && lines;
  });
  for (const line of atWorker) expect(line).toMatchObject({ level: "INFO", status: "cancelled" });
});

async function stageOf(url: string): Promise<unknown> {
  const response = await fetch(`${url}/health`);
  return { status: response.status, stage: ((await response.json()) as { stage?: string }).stage };
}

test("a frontend that delays its drain takes requests on new connections while its health says draining; a second signal ends it", async () => {
  await using cluster = await startCluster({ frontendArgs: ["--drain-delay-ms", "600000"] });
  cluster.frontend.kill("SIGTERM");
  const requested = await eventually("the drain", () =>
    cluster.frontend.lines().find(({ message }) => String(message).startsWith("shutdown requested")),
  );
  expect(requested).toMatchObject({ signal: "SIGTERM", delay_ms: 600_000 });
  expect(await stageOf(cluster.url)).toEqual({ status: 503, stage: "draining" });
  expect((await fetch(`${cluster.url}/live`)).status).toBe(200);
  for (let index = 0; index < 3; index += 1) {
    const answer = await postChat(cluster.url, chat("still here"));
    expect([answer.status, answer.headers.get("connection")]).toEqual([200, "close"]); // so the next one is a new connection
  }
  cluster.frontend.kill("SIGTERM");
  expect(await cluster.frontend.exited).toBe("SIGTERM");
});

test("a frontend that delays its drain begins it when the delay is over, and finishes what has come meanwhile", async () => {
  await using cluster = await startCluster({ ...held, frontendArgs: ["--drain-delay-ms", "5000"] }); // the request has to come within that
  const signalledAt = performance.now();
  cluster.frontend.kill("SIGTERM");
  await eventually("the drain", async () => JSON.stringify(await stageOf(cluster.url)).includes("draining"));
  const answer = await postChat(cluster.url, chat("a b c d", { stream: true }));
  const isDeaf = (): Promise<boolean> =>
    fetch(`${cluster.url}/live`)
      .then(() => false)
      .catch(() => true);
  await eventually("the end of the delay", isDeaf);
  expect(performance.now() - signalledAt).toBeGreaterThan(4_990);
  await release(cluster.workers[0]);
  expect((await answer.text()).endsWith("data: [DONE]\n\n")).toBe(true);
  expect(await cluster.frontend.exited).toBe(0);
  const stopped = cluster.frontend.lines().at(-1);
  expect(stopped).toMatchObject({ message: "stopped", cut: 0 });
  expect(stopped?.["elapsed_ms"]).toBeGreaterThan(4_990); // since the signal
});

test.each(["dyn-frontend", "dyn-mock-worker"])("a second signal ends %s at once", async (name) => {
  await using cluster = await startCluster(held);
  const answer = postChat(cluster.url, chat("a b c d", { stream: true })).catch(() => undefined);
  await eventually("the request", () =>
    cluster.workers[0]?.lines().some(({ message }) => message === "request received"),
  );
  const program = name === "dyn-frontend" ? cluster.frontend : cluster.workers[0];
  program?.kill("SIGTERM");
  await eventually("the drain", () =>
    program?.lines().some(({ message }) => String(message).startsWith("shutdown requested")),
  );
  program?.kill("SIGTERM");
  expect(await program?.exited).toBe("SIGTERM");
  await (await answer)?.text().catch(() => undefined);
});

test("a killed worker ends its stream with an error event and the next request goes elsewhere", async () => {
  await using cluster = await startCluster({ workerArgs: ["--fault", "hang@2"] });
  const response = await postChat(cluster.url, chat("a b c d", { stream: true }));
  cluster.workers[0]?.kill("SIGKILL");
  const text = await response.text();
  expect(text).toContain('"code":"worker_disconnected"');
  expect(text).not.toContain("[DONE]");
  expect(text).not.toContain("127.0.0.1");
  const completed = await eventually("completion", () =>
    cluster.frontend.lines().find(({ message }) => message === "request completed"),
  );
  expect(completed).toMatchObject({ level: "ERROR", status: "error", error_type: "unavailable" });
  await cluster.addWorker();
  expect((await postChat(cluster.url, chat("here"))).status).toBe(200);
});

test("a reader that stops holds its own stream, not its neighbours", async () => {
  await using cluster = await startCluster({ workerArgs: ["--max-num-seqs", "10"] });
  const long = "word ".repeat(200_000);
  const slow = await postChat(cluster.url, chat(long, { stream: true }));
  await slow.body?.getReader().read();
  for (let index = 0; index < 20; index += 1) expect((await postChat(cluster.url, chat("quick"))).status).toBe(200);
  const finished = cluster.workers[0]
    ?.lines()
    .filter((line) => line["message"] === "request completed" && Number(line["output_tokens"]) > 1_000);
  expect(finished).toEqual([]);
});

test.each([
  [["--no-such-flag"], "dyn-frontend: unknown option '--no-such-flag'; see dyn-frontend --help"],
  [["tracee"], "dyn-frontend: too many arguments. Expected 0 arguments but got 1: tracee; see dyn-frontend --help"],
  [["--http-port", "99999"], '--http-port "99999": expected a whole number from 0 to 65535'],
  [["--http-prt", "1"], "unknown option '--http-prt' (Did you mean --http-port?)"],
  [["--log", "chatty"], '--log "chatty": unknown log level "chatty"'],
])("dyn-frontend %j says what is wrong and exits non-zero", async (args, message) => {
  await using program = startProgram("dyn-frontend", args);
  expect(await program.exited).not.toBe(0);
  expect(program.stderr()).toContain(message);
  expect(program.stderr().trim().split("\n")).toHaveLength(1);
});

test("a switch may stand alone or have a value", async () => {
  await using cluster = await startCluster({
    workers: 0,
    frontendArgs: ["--strict-request-id", "--log-jsonl"],
    env: { DYN_LOGGING_JSONL: "0" },
  });
  const message = "request-id header must be a valid UUID, got: mine";
  for (const [path, body] of [
    ["chat/completions", { error: { message, type: "invalid_request_error", param: null, code: null } }],
    ["messages", { type: "error", error: { type: "invalid_request_error", message } }],
  ] as const) {
    const response = await fetch(`${cluster.url}/v1/${path}`, { method: "POST", headers: { "request-id": "mine" } });
    expect(response.status).toBe(400);
    expect(await response.json()).toMatchObject(body);
    const ours = response.headers.get("request-id");
    expect(ours).toMatch(/^[0-9a-f-]{36}$/);
    const completed = (line: Line): boolean => line["request_id"] === ours && line["message"] === "request completed";
    expect(await eventually("its line", () => cluster.frontend.lines().find(completed))).toMatchObject({
      error_type: "validation",
      error: message,
    });
  }
  await using lax = await startCluster({
    workers: 0,
    frontendArgs: ["--strict-request-id", "off"],
    env: { DYN_STRICT_REQUEST_ID: "1" },
  });
  expect((await postChat(lax.url, chat("hi"), { "request-id": "mine" })).status).toBe(404);
});

test("a port in use is one clear line and a non-zero exit", async () => {
  await using cluster = await startCluster({ workers: 0 });
  const port = new URL(cluster.url).port;
  await using second = startProgram("dyn-frontend", ["--http-port", port], { DYN_FILE_KV: cluster.directory });
  expect(await second.exited).toBe(1);
  expect(second.stderr().trim().split("\n")).toHaveLength(1);
  expect(second.stderr()).toContain(`cannot listen on http://127.0.0.1:${port}`);
});

test.each([
  ["dyn-frontend", "/dev/null/kv", "ENOTDIR"],
  ["dyn-mock-worker", "/dev/null/kv", "ENOTDIR"],
  ["dyn-frontend", "/proc/nope", "E"], // Linux: it is there and takes no children
  ["dyn-mock-worker", " /proc/nope\n", "E"],
])("%s with the discovery directory %j is one clear line and a non-zero exit", async (command, directory, code) => {
  await using program = startProgram(command, ["--file-kv", directory], { DYN_HTTP_PORT: "0" });
  expect(await program.exited).toBe(1);
  expect(program.stderr().trim().split("\n")).toHaveLength(1);
  expect(program.stderr()).toContain(
    `${command}: the discovery directory ${directory.trim()} (--file-kv, DYN_FILE_KV) cannot be used: ${code}`,
  );
});

test.each(["dyn-frontend", "dyn-mock-worker"])("%s --help shows every variable and default", async (command) => {
  await using program = startProgram(command, ["--help"]);
  expect(await program.exited).toBe(0);
  expect(program.stdout()).toContain("DYN_FILE_KV");
  expect(program.stdout().replaceAll(/\s+/g, " ")).toMatch(/default "info"/); // lines are broken to the width of the terminal
});

test("the process a user starts from node_modules/.bin is the server itself", async () => {
  await using cluster = await startCluster({ workers: 1 });
  const [worker] = cluster.workers;
  expect(worker?.lines().length).toBeGreaterThan(0);
  process.kill(worker?.pid ?? -1, "SIGTERM");
  expect(await worker?.exited).toBe(0);
});
