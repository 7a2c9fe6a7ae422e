// Every case of the W3C trace context suite (https://github.com/w3c/trace-context, test/test.py), and what it leaves out: header lines
// as bytes to a frontend, which passes them on to a worker in another process; what came out is told by the worker and by all lines.
import { randomUUID } from "node:crypto";
import { afterAll, beforeAll, expect, test } from "vitest";
import { createRuntime, type Runtime } from "../../../packages/runtime/src/index.ts";
import { serveModel } from "../../../packages/runtime/src/llm.ts";
import { createLogger } from "../../support/logger.ts";
import { chat, eventually, lineOf, startCluster, type Cluster, type Line } from "../../support/cluster.ts";
import { sendRaw } from "../../support/raw-http.ts";
import { continued, id, other, parent, restarts, states, valid } from "./context-cases.ts";

let cluster: Cluster;
let worker: Runtime;
const workerLines: Line[] = [];

beforeAll(async () => {
  cluster = await startCluster({ workers: 0, env: { DYN_LOG: "debug" } });
  const log = createLogger({ sink: (record) => workerLines.push(record) });
  worker = await createRuntime({ config: { fileKv: cluster.directory }, environment: {}, log: log.pino });
  await serveModel(worker, { model: "mock" }, async function* (_request, { traceparent, tracestate }) {
    yield { text: JSON.stringify({ traceparent, tracestate }) };
  });
  await lineOf(cluster.frontend, "instance joined");
});

afterAll(async () => {
  await worker[Symbol.asyncDispose]();
  await cluster[Symbol.asyncDispose]();
});

/** What the worker's engine was given, and the span lines of both processes. */
interface Outcome {
  readonly traceparent: string;
  readonly tracestate?: string;
  readonly spans: { readonly http: Line; readonly attempt: Line; readonly worker: Line };
}

async function send(...headers: string[]): Promise<Outcome> {
  const requestId = randomUUID();
  const answer = await sendRaw(cluster.url, {
    headers: [...headers, `request-id: ${requestId}`],
    body: JSON.stringify(chat("hello")),
  });
  expect(answer.status, answer.body).toBe(200);
  const { choices } = JSON.parse(answer.body) as { choices: [{ message: { content: string } }] };
  const ofRequest = (lines: readonly Line[]): Line[] => lines.filter((line) => line["request_id"] === requestId);
  const find = (look: () => readonly Line[], message: string): Promise<Line> =>
    eventually(message, () => ofRequest(look()).find((line) => line["message"] === message));
  const spans = {
    http: await find(() => cluster.frontend.lines(), "request received"),
    attempt: await find(() => cluster.frontend.lines(), "route request completed"),
    worker: await find(() => workerLines, "request completed"),
  };
  return { ...(JSON.parse(choices[0].message.content) as { traceparent: string; tracestate?: string }), spans };
}

/** The spans stand below each other, and say what the worker was given. */
function checkSpans({ traceparent, tracestate, spans }: Outcome): void {
  const [, traceId, spanId, flags] = traceparent.split("-");
  for (const line of Object.values(spans)) expect(line).toMatchObject({ trace_id: traceId, trace_flags: flags });
  for (const line of Object.values(spans)) expect(line["tracestate"]).toBe(tracestate);
  expect(spans.attempt["parent_id"]).toBe(spans.http["span_id"]);
  expect(spans.worker["parent_id"]).toBe(spans.attempt["span_id"]);
  expect(spans.worker["engine_span_id"]).toBe(spanId);
}

test.each(restarts)("a new trace, without tracestate: %s", async (_name, ...headers) => {
  const outcome = await send(...headers);
  expect(outcome.traceparent).toMatch(/^00-(?!0{32})[0-9a-f]{32}-(?!0{16})[0-9a-f]{16}-03$/);
  for (const known of [id, other]) expect(outcome.traceparent).not.toContain(known.slice(1));
  expect(outcome.tracestate).toBeUndefined();
  expect(outcome.spans.http).not.toHaveProperty("parent_id");
  checkSpans(outcome);
});

test.each(continued)("the same trace: %s, %s", async (_name, header, flags) => {
  const outcome = await send(header);
  expect(outcome.traceparent).toMatch(new RegExp(`^00-${id}-(?!${parent})[0-9a-f]{16}-${flags}$`));
  expect(outcome.spans.http["parent_id"]).toBe(parent);
  expect(outcome.tracestate).toBeUndefined();
  checkSpans(outcome);
});

test("multiple_requests_with_valid_traceparent: one trace, a span each", async () => {
  const outcomes = [await send(valid), await send(valid), await send(valid)];
  expect(new Set(outcomes.map(({ traceparent }) => traceparent.split("-")[1]))).toEqual(new Set([id]));
  expect(new Set(outcomes.map(({ traceparent }) => traceparent.split("-")[2])).size).toBe(3);
});

test("multiple_requests_without_traceparent: a trace and a span each", async () => {
  const outcomes = [await send(), await send(), await send()];
  for (const part of [1, 2])
    expect(new Set(outcomes.map(({ traceparent }) => traceparent.split("-")[part])).size).toBe(3);
});

test.each(states)("tracestate: %s, kept is %j", async (_name, kept, ...lines) => {
  const outcome = await send(valid, ...lines);
  expect(outcome.traceparent).toContain(`00-${id}-`);
  expect(outcome.tracestate).toBe(kept);
  checkSpans(outcome);
});

test("a traceparent of a later version brings its tracestate along", async () => {
  expect(await send(`traceparent: cc-${id}-${parent}-01-x`, "tracestate: foo=1")).toMatchObject({
    tracestate: "foo=1",
  });
});

test("the ids that came back were the ids sent, every time", async () => {
  expect(await (await fetch(`${cluster.url}/metrics`)).text()).toMatch(
    /^dynamo_request_plane_lineage_mismatch_total 0$/m,
  );
});
