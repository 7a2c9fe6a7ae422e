// What is told of an attempt: its report to the caller, its line, and the line of a worker that refuses it.
import { expect, test } from "vitest";
import { parseAddress } from "../../../packages/runtime/src/discovery/records.ts";
import {
  createMemorySpace,
  createRuntime,
  type CallOptions,
  type Runtime,
} from "../../../packages/runtime/src/index.ts";
import { parseLogFilter } from "../../../packages/runtime/src/logging/filter.ts";
import { createLogger } from "../../support/logger.ts";
import { config, failureOf } from "../peers.ts";
import { sendItem, startScriptedWorkers } from "../scripted-workers.ts";

interface Pair extends AsyncDisposable {
  readonly worker: Runtime;
  readonly caller: Runtime;
  /** `host:port` of the worker. */
  readonly address: string;
  readonly records: Record<string, unknown>[];
}

const greeter = "dyn://demo.greeter.generate";
const traceparent = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";

/** A worker that serves `greeter`, and a caller; one log for both. */
async function startPair(): Promise<Pair> {
  const records: Record<string, unknown>[] = [];
  const log = createLogger({ sink: (record) => records.push(record), filter: parseLogFilter("debug") });
  const memorySpace = createMemorySpace();
  const [worker, caller] = [
    await createRuntime({ config, memorySpace, log: log.pino }),
    await createRuntime({ config, memorySpace, log: log.pino }),
  ];
  const { address } = await worker.endpoint(greeter).serve(async function* () {
    yield "hello";
  });
  return {
    worker,
    caller,
    address,
    records,
    async [Symbol.asyncDispose]() {
      await caller[Symbol.asyncDispose]();
      await worker[Symbol.asyncDispose]();
    },
  };
}

async function ask(
  caller: Runtime,
  address: string,
): Promise<{ answer: ReturnType<ReturnType<Runtime["client"]>["generate"]>; items: unknown[] }> {
  const answer = caller.client(address).generate({}, { traceparent, xRequestId: "mine" });
  const items: unknown[] = [];
  for await (const item of answer) items.push(item);
  return { answer, items };
}

/** Publish a record of `address` that leads to `tcp`. */
async function mislead(caller: Runtime, address: string, tcp: string, id: bigint): Promise<void> {
  const { namespace, component, endpoint } = parseAddress(address);
  const transport = { tcp: `${tcp}/${id.toString(16)}/${namespace}/${component}/${endpoint}` };
  await caller.discovery.publish({
    type: "Endpoint",
    namespace,
    component,
    endpoint,
    instance_id: id,
    transport,
    dyn_plane: 1,
  });
}

test("a success is reported with what the worker said, and its line names the caller's span", async () => {
  await using pair = await startPair();
  const { answer, items } = await ask(pair.caller, greeter);
  expect(items).toEqual(["hello"]);
  const [report] = answer.reports;
  expect(answer.reports).toHaveLength(1);
  expect(report).toMatchObject({
    number: 0,
    instanceId: pair.worker.instanceId,
    isSent: true,
    outcome: "success",
    trailer: { items: 1 },
  });
  expect(report?.trailer.seen).toMatchObject({
    request_id: answer.requestId,
    x_request_id: "mine",
    parent_id: report?.spanId,
  });
  expect(report?.endedAt).toBeGreaterThanOrEqual(report?.startedAt ?? Number.NaN);
  const line = pair.records.find(({ message }) => message === "route request completed");
  expect(line).toMatchObject({
    level: "INFO",
    caller_span_id: "00f067aa0ba902b7",
    span_id: report?.spanId,
    elapsed_ms: expect.any(Number) as number,
  });
  expect(line).not.toHaveProperty("request.sent");
});

test("the attempts of a frontend have no caller, and lines at DEBUG: its own line names the one that answers", async () => {
  await using pair = await startPair();
  const identity = {
    requestId: "f52be7a9-8809-408c-9140-4fd7ca0dd680",
    trace: { traceId: "1".repeat(32), spanId: "2".repeat(16), flags: 1 },
  };
  for await (const _ of pair.caller.client(greeter).generate({}, { identity }));
  const line = pair.records.find(({ message }) => message === "route request completed");
  expect(line).toMatchObject({ level: "DEBUG", parent_id: "2".repeat(16) });
  expect(line).not.toHaveProperty("caller_span_id");
});

test("what could not be sent is reported as that", async () => {
  await using pair = await startPair();
  await mislead(pair.caller, "dyn://demo.nobody.generate", "127.0.0.1:1", 7n);
  const answer = pair.caller.client("dyn://demo.nobody.generate").generate({});
  expect((await failureOf(answer.batches().next())).code).toBe("cannot_connect");
  expect(answer.reports).toMatchObject([
    { instanceId: "7", isSent: false, outcome: "connection_failed", failure: { code: "cannot_connect" }, trailer: {} },
  ]);
  expect(pair.records.find(({ message }) => message === "route request failed")).toMatchObject({
    level: "WARN",
    event: "request_completed", // that of the request is no other line
    "request.sent": false,
  });
});

test("a worker that refuses says whose request it was", async () => {
  await using pair = await startPair();
  await mislead(pair.caller, "dyn://demo.ghost.generate", pair.address, BigInt(pair.worker.instanceId));
  const answer = pair.caller.client("dyn://demo.ghost.generate").generate({}, { xRequestId: "mine" });
  expect((await failureOf(answer.batches().next())).code).toBe("unavailable");
  const [report] = answer.reports;
  expect(report).toMatchObject({ isSent: true, outcome: "unavailable" });
  expect(pair.records.find(({ message }) => message === "request refused")).toMatchObject({
    level: "WARN",
    attempt: 0,
    instance_id: pair.worker.instanceId,
    parent_id: report?.spanId,
    request_id: answer.requestId,
    x_request_id: "mine",
  });
});

test("the time to the first items is counted when they come, however long the answer goes on", async () => {
  await using workers = await startScriptedWorkers({ behave: (peer, id) => sendItem(peer, id, "first") });
  const batches = workers.client.generate({ count: 1 }).batches();
  await batches.next();
  expect(await workers.readCounter("dynamo_request_plane_roundtrip_ttft_seconds_count")).toBe(1);
  await batches.return();
});

/** The outcomes of the attempts of one request, where five instances are gone and the last one serves. */
async function askPastGone(options: CallOptions): Promise<unknown[]> {
  await using pair = await startPair();
  for (const id of [1n, 2n, 3n, 4n, 5n]) await mislead(pair.worker, greeter, "127.0.0.1:1", id);
  using client = pair.caller.client<object, string>(greeter);
  await client.waitForInstances({ count: 6 });
  const answer = client.generate({}, options);
  await answer
    .batches()
    .next()
    .catch(() => undefined); // the reports say how it went
  return answer.reports.map(({ outcome }) => outcome);
}

test("instances that cannot be reached cost no attempt, unless there is to be one only", async () => {
  const gone = Array.from({ length: 5 }, () => "connection_failed");
  expect(await askPastGone({})).toEqual([...gone, undefined]);
  expect(await askPastGone({ retry: { attempts: 2, backoffMs: 0 } })).toEqual([...gone, undefined]);
  expect(await askPastGone({ retry: false })).toEqual(["connection_failed"]);
});
