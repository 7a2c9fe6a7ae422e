// Fewer lines on request: levels of events, a share of the requests, the form of the lines. Every process must come to the same decision.
import { expect, test } from "vitest";
import { createRuntime } from "../../packages/runtime/src/index.ts";
import { createLogger } from "../support/logger.ts";
import { createLogSampler } from "../../packages/runtime/src/logging/sampling.ts";
import { chat, eventually, postChat, startCluster, startProgram, type Line, type Program } from "../support/cluster.ts";
import { startReceiver } from "./otlp/receiver.ts";
import { draw, newTrace, spansOf, wholeTree } from "./otlp/span-tree.ts";

const toId = (index: number): string =>
  `6e0f2d5c-4b1a-4${(index % 4096).toString(16).padStart(3, "0")}-8000-${index.toString(16).padStart(12, "0")}`;

function idsOf(lines: readonly Line[], keep: (line: Line) => boolean = () => true): Set<string> {
  return new Set(
    lines.filter((line) => line["request_id"] !== undefined && keep(line)).map((line) => String(line["request_id"])),
  );
}

async function answerOf(response: Promise<Response>): Promise<number> {
  const { status, body } = await response;
  for await (const _chunk of body ?? []);
  return status;
}

async function drain(items: AsyncIterable<unknown>): Promise<void> {
  for await (const _item of items);
}

/** Once these are there, everything before them is. */
async function written(program: Program, ids: ReadonlySet<string>, count: number): Promise<Line[]> {
  const isDone = ({ message, request_id: id }: Line): boolean => message === "request completed" && ids.has(String(id));
  return eventually(`${count} completions of ${program.pid}`, () => {
    const lines = program.lines();
    return lines.filter(isDone).length >= count && lines;
  });
}

test("at a ratio of 0.5 frontend and workers write the same requests, chosen by their ids, and every warning and error", async () => {
  await using cluster = await startCluster({ workers: 2, env: { DYN_LOG_SAMPLE_RATIO: "0.5", DYN_LOG: "debug" } });
  const total = 300;
  const ids = Array.from({ length: total }, (_, index) => toId(index));
  const isLogged = createLogSampler(0.5);
  const expected = new Set(ids.filter(isLogged));
  expect(expected.size).toBeGreaterThan(110); // 150, give or take four and a half standard deviations
  expect(expected.size).toBeLessThan(190);
  await Promise.all(
    ids.map(async (id, index) => {
      const headers = { "request-id": id };
      expect(await answerOf(postChat(cluster.url, chat("one two three", { stream: index % 2 === 0 }), headers))).toBe(
        200,
      );
    }),
  );

  const bad = Array.from({ length: 40 }, (_, index) => toId(total + index));
  const badAndQuiet = bad.filter((id) => !isLogged(id));
  expect(badAndQuiet.length).toBeGreaterThan(5);
  for (const id of bad) {
    const headers = { "request-id": id, "x-request-id": "not sane" };
    expect(await answerOf(postChat(cluster.url, chat("x", { model: "nope" }), headers))).toBe(404);
  }

  const frontend = await written(cluster.frontend, new Set(bad), bad.length);
  expect(idsOf(frontend, (line) => !bad.includes(String(line["request_id"])))).toEqual(expected);
  for (const id of badAndQuiet) {
    const lines = frontend.filter((line) => line["request_id"] === id);
    expect(lines.map(({ level, message }) => `${String(level)} ${String(message)}`)).toEqual([
      "WARN x-request-id header ignored: expected 1 to 256 characters of visible ASCII",
      "ERROR http response sent",
      "ERROR request completed",
    ]);
    expect(lines.at(-1)).toMatchObject({ error_type: "not_found", model_requested: "nope", status: "error" });
  }
  for (const id of bad.filter(isLogged)) {
    expect(frontend.some((line) => line["request_id"] === id && line["message"] === "request received")).toBe(true);
  }

  const workerIds = new Set<string>();
  await eventually("the workers' completions", () => {
    const done = cluster.workers
      .flatMap((worker) => worker.lines())
      .filter(({ message }) => message === "request completed");
    return done.length >= expected.size;
  });
  for (const id of cluster.workers.flatMap((worker) => [...idsOf(worker.lines())])) workerIds.add(id);
  expect(workerIds).toEqual(expected);
  // All lines of a request, or none.
  for (const message of ["request received", "request completed", "http response sent", "route request completed"]) {
    expect(
      frontend.filter((line) => line["message"] === message && expected.has(String(line["request_id"]))),
    ).toHaveLength(expected.size);
  }
  // Lines that are about no request are there.
  expect(frontend.filter(({ message }) => message === "instance joined")).toHaveLength(2);
});

test("an unsampled request that fails at the worker still has its error there, and what its handler warned about", async () => {
  const lines: Line[] = [];
  const log = createLogger({ sink: (record) => lines.push(record), isLogged: () => false });
  await using runtime = await createRuntime({ config: { discoveryBackend: "mem" }, log: log.pino });
  await runtime.endpoint("dyn://test.fails.generate").serve(async function* (request: { fail: boolean }, context) {
    context.log.info({}, "quiet");
    if (request.fail) context.log.warn({}, "loud");
    yield 1;
    if (request.fail) throw new Error("broken");
  });
  const client = runtime.client<{ fail: boolean }, number>("dyn://test.fails.generate");
  await client.waitForInstances();
  await drain(client.generate({ fail: false }));
  const failing = client.generate({ fail: true });
  await expect(drain(failing)).rejects.toThrow("the worker failed");
  const ofRequests = lines.filter((line) => line["request_id"] !== undefined);
  expect(new Set(ofRequests.map((line) => line["request_id"]))).toEqual(new Set([failing.requestId]));
  expect(ofRequests.map(({ level, message }) => `${String(level)} ${String(message)}`).toSorted()).toEqual([
    "ERROR request completed",
    "WARN loud",
    "WARN route request failed",
  ]);
});

test("events have the levels asked for, in both processes; failures and cancelled requests keep theirs", async () => {
  const DYN_LOG_EVENTS =
    "request_received=debug,request_completed=trace,http_response_sent=warn,http_response_finished=off,route_request=error";
  await using cluster = await startCluster({
    env: { DYN_LOG_EVENTS, DYN_LOG: "trace" },
    workerArgs: ["--itl-ms", "50"],
  });
  const [good, failed, cancelled] = [toId(1), toId(2), toId(3)];
  await answerOf(postChat(cluster.url, chat("one two", { stream: true }), { "request-id": good }));
  await answerOf(postChat(cluster.url, chat("one", { model: "nope" }), { "request-id": failed }));
  const response = await postChat(cluster.url, chat("a ".repeat(2_000), { stream: true }), { "request-id": cancelled });
  await response.body?.cancel();
  const told = async (program: Program, id: string): Promise<string[]> => {
    const lines = await written(program, new Set([id]), 1);
    return lines
      .filter((line) => line["request_id"] === id)
      .map(({ level, message }) => `${String(level)} ${String(message)}`);
  };
  const [worker] = cluster.workers;
  if (!worker) throw new Error("no worker");
  expect(await told(cluster.frontend, good)).toEqual([
    "DEBUG request received",
    "WARN http response sent",
    "ERROR route request completed",
    "TRACE request completed",
  ]);
  expect(await told(worker, good)).toEqual(["DEBUG request received", "TRACE request completed"]);
  expect(await told(cluster.frontend, failed)).toEqual([
    "DEBUG request received",
    "ERROR http response sent",
    "ERROR request completed",
  ]);
  expect(await told(cluster.frontend, cancelled)).toEqual([
    "DEBUG request received",
    "WARN http response sent",
    "ERROR route request cancelled",
    "INFO request completed",
  ]);
  expect(await told(worker, cancelled)).toEqual(["DEBUG request received", "INFO request completed"]);
});

test("at ERROR nothing is written of requests that go well, and their spans are exported all the same", async () => {
  await using receiver = await startReceiver();
  const DYN_LOG = "error,dyn_frontend=info,dyn_frontend::request_log=error,dyn_runtime::discovery=info"; // without requests: the cluster's start is seen
  await using cluster = await startCluster({
    env: { ...receiver.env("http/protobuf"), DYN_LOG },
    workerArgs: ["--itl-ms", "50"],
  });
  const [good, cancelled, failed] = [toId(1), toId(2), toId(3)];
  const trace = newTrace();
  expect(
    await answerOf(postChat(cluster.url, chat("one two", { stream: true }), { ...trace.headers, "request-id": good })),
  ).toBe(200);
  const response = await postChat(cluster.url, chat("a ".repeat(2_000), { stream: true }), { "request-id": cancelled });
  await response.body?.cancel();
  await answerOf(postChat(cluster.url, chat("one", { model: "nope" }), { "request-id": failed }));
  expect(draw(await spansOf(receiver, trace.traceId, 4))).toEqual(wholeTree);
  await eventually("the end of the one that was cancelled", async () => {
    const { state } = (await (await fetch(`${cluster.url}/v1/requests/${cancelled}`)).json()) as { state: string };
    return state === "completed";
  });
  const ofRequests = [cluster.frontend, ...cluster.workers]
    .flatMap((program) => program.lines())
    .filter((line) => "request_id" in line);
  expect(
    ofRequests.map(({ level, message, request_id: id }) => `${String(level)} ${String(message)} ${String(id)}`),
  ).toEqual([`ERROR http response sent ${failed}`, `ERROR request completed ${failed}`]);
});

test("events below the filter's level are not written, failures are", async () => {
  await using cluster = await startCluster({
    env: { DYN_LOG_EVENTS: "request_received=debug,request_completed=debug,route_request=off" },
  });
  const [good, failed] = [toId(1), toId(2)];
  await answerOf(postChat(cluster.url, chat("one"), { "request-id": good }));
  await answerOf(postChat(cluster.url, chat("one", { model: "nope" }), { "request-id": failed }));
  const lines = await written(cluster.frontend, new Set([failed]), 1);
  const messages = lines
    .filter((line) => line["request_id"] !== undefined)
    .map(({ message, request_id: id }) => `${String(id)} ${String(message)}`);
  expect(messages).toEqual([
    `${good} http response sent`,
    `${failed} http response sent`,
    `${failed} request completed`,
  ]);
  expect(idsOf(cluster.workers.flatMap((worker) => worker.lines())).size).toBe(0);
});

test.each([
  [{ DYN_LOGGING_CONSOLE_FORMAT: "readable", DYN_LOGGING_JSONL: "1" }, /^\S+Z {2}INFO /],
  [{ DYN_LOGGING_CONSOLE_FORMAT: " jsonl ", DYN_LOGGING_JSONL: "0" }, /^\{"time":/],
  [{ DYN_LOGGING_CONSOLE_FORMAT: "", DYN_LOGGING_JSONL: "1" }, /^\{"time":/],
  [{ DYN_LOGGING_CONSOLE_FORMAT: "auto", DYN_LOGGING_JSONL: "0" }, /^\S+Z {2}INFO /],
])("%j decides the form of the lines", async (env, form) => {
  await using program = startProgram("dyn-mock-worker", ["--discovery-backend", "mem"], env);
  expect(await eventually("a line", () => program.stderr().includes("\n") && program.stderr())).toMatch(form);
});

test.each([
  [{ DYN_LOGGING_CONSOLE_FORMAT: "xml" }, 'DYN_LOGGING_CONSOLE_FORMAT="xml": expected one of auto, readable, jsonl'],
  [{ DYN_LOG_SAMPLE_RATIO: "1.5" }, 'DYN_LOG_SAMPLE_RATIO="1.5": expected a number from 0 to 1'],
  [
    { DYN_LOG_EVENTS: "request=info" },
    'DYN_LOG_EVENTS="request=info": unknown event "request" in "request=info", expected request_received',
  ],
])("%j ends the program at its start with one line", async (env, message) => {
  await using program = startProgram("dyn-mock-worker", ["--discovery-backend", "mem"], env);
  expect(await program.exited).toBe(1);
  expect(program.stderr()).toMatch(/^dyn-mock-worker: [^\n]*\n$/);
  expect(program.stderr()).toContain(message);
});
