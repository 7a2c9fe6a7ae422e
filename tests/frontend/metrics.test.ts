// What a request adds to which series, and how models come and go, with given clocks.
import { RuntimeError } from "@dyn/runtime";
import { acceptTrace, createRuntimeMetrics, renderMetrics } from "@dyn/runtime/internal";
import { expect, test } from "vitest";
import {
  createFrontendMetrics,
  type FrontendMetrics,
  type ModelFacts,
} from "../../packages/frontend/src/observe/metrics.ts";
import { RequestRecord, type Routed } from "../../packages/frontend/src/observe/request-record.ts";
import { parseOpenMetrics, type Exposed } from "../support/open-metrics.ts";

interface Fixture {
  readonly metrics: FrontendMetrics;
  served: ModelFacts[];
  nowMs: number;
  readonly expose: () => Promise<Exposed>;
}

function createFixture(graceMs = 1_000): Fixture {
  const { registry } = createRuntimeMetrics();
  const fixture = {
    served: [toFacts("m")],
    nowMs: 0,
    expose: async () => parseOpenMetrics((await renderMetrics(registry, "openmetrics")).body),
  };
  const metrics = createFrontendMetrics({
    registry,
    prefix: "p",
    models: () => fixture.served,
    graceMs,
    now: () => fixture.nowMs,
  });
  return Object.assign(fixture, { metrics });
}

function toFacts(name: string): ModelFacts {
  return { name, contextLength: 4096, kvCacheBlockSize: 16, migrationLimit: 3 };
}

const trace = acceptTrace(undefined);

interface Request {
  readonly tokens: (count: number, at: number) => void;
  /** After a second, with ten tokens of input and six of output. */
  readonly end: (more?: Partial<RequestRecord>) => void;
}

function begin(metrics: FrontendMetrics, model = "m", flags = trace.flags): Request {
  const record = new RequestRecord(
    {
      identity: { requestId: "r", trace: { ...trace, flags } },
      method: "POST",
      uri: "/",
      owner: undefined,
      endpoint: "chat_completions",
      requestType: "stream",
      modelAsked: model,
      isKnown: true,
      startedAt: 0,
      parsedAt: 0,
    },
    () => 0,
  );
  const meter = metrics.begin(record);
  return {
    tokens: (count, at) => meter.tokens(count, record.clock.add(count, at)),
    end(more) {
      Object.assign(record, { endedAt: 1_000, usage: { promptTokens: 10, completionTokens: 6 }, ...more });
      meter.ended(record);
    },
  };
}

test("tokens of one batch share its time; those of the first are all time to first token", async () => {
  const { metrics, expose } = createFixture();
  const request = begin(metrics);
  expect((await expose()).value("p_queued_requests", { model: "m" })).toBe(1);
  request.tokens(2, 100);
  expect((await expose()).value("p_queued_requests", { model: "m" })).toBe(0);
  request.tokens(3, 130);
  request.tokens(1, 140);
  const during = await expose();
  expect(during.value("p_output_tokens_total")).toBe(6);
  for (const name of ["active", "inflight"]) expect(during.value(`p_${name}_requests`, { model: "m" })).toBe(1);
  request.end();
  const after = await expose();
  expect(after.value("p_time_to_first_token_seconds_count")).toBe(1);
  expect(after.value("p_time_to_first_token_seconds_sum")).toBeCloseTo(0.1);
  expect(after.value("p_inter_token_latency_seconds_count")).toBe(4);
  expect(after.value("p_inter_token_latency_seconds_sum")).toBeCloseTo(0.04);
  expect(after.value("p_inter_token_latency_seconds_bucket", { le: "0.013" })).toBe(4);
  expect(after.value("p_request_duration_seconds_sum")).toBeCloseTo(1);
  for (const name of ["active", "inflight", "queued"]) expect(after.value(`p_${name}_requests`)).toBe(0);
  expect(after.find("p_cached_tokens_count")).toEqual([]);
});

test("what only the end tells: more tokens than deltas showed, cached ones, retries, a client that left", async () => {
  const { metrics, expose } = createFixture();
  const request = begin(metrics);
  request.tokens(1, 10);
  const failure = new RuntimeError("cancelled", "x");
  const routed = (retries: number, resumptions: number): Routed => ({ attempts: 9, retries, resumptions, reports: [] });
  request.end({
    failure,
    usage: { promptTokens: 10, completionTokens: 40, cachedTokens: 8 },
    prefill: routed(1, 0),
    answer: routed(1, 3),
  });
  const exposed = await expose();
  expect(exposed.value("p_output_tokens_total")).toBe(40);
  expect(exposed.value("p_output_sequence_tokens_sum")).toBe(40);
  expect(exposed.value("p_cached_tokens_sum", { model: "m" })).toBe(8);
  expect(exposed.value("p_model_migration_total", { model: "m", migration_type: "new_request" })).toBe(2);
  expect(exposed.value("p_model_migration_total", { model: "m", migration_type: "ongoing_request" })).toBe(3);
  expect(exposed.value("p_disconnected_clients")).toBe(1);
  expect(exposed.find("p_model_cancellation_total")).toMatchObject([
    { labels: { model: "m", endpoint: "chat_completions", request_type: "stream" }, value: 1 },
  ]);
  expect(exposed.find("p_requests_total")).toMatchObject([
    { labels: { status: "error", error_type: "cancelled" }, value: 1 },
  ]);
});

test("overload is also a rejection; an empty answer has no length", async () => {
  const { metrics, expose } = createFixture();
  const failure = new RuntimeError("overloaded", "x");
  begin(metrics).end({ failure, usage: undefined });
  const exposed = await expose();
  expect(exposed.find("p_model_rejection_total")).toMatchObject([
    { labels: { model: "m", endpoint: "chat_completions" }, value: 1 },
  ]);
  for (const name of ["output", "input"]) expect(exposed.find(`p_${name}_sequence_tokens_count`)).toEqual([]);
  expect(exposed.value("p_queued_requests")).toBe(0);
});

test("only sampled traces become exemplars", async () => {
  const { metrics, expose } = createFixture();
  const exemplars = async (): Promise<unknown[]> =>
    [...(await expose()).families.values()].flatMap(({ samples }) => samples.flatMap(({ exemplar }) => exemplar ?? []));
  const unsampled = begin(metrics, "m", 2);
  unsampled.tokens(1, 5);
  unsampled.tokens(1, 9);
  unsampled.end();
  expect(await exemplars()).toEqual([]);
  const sampled = begin(metrics, "m", 3);
  sampled.tokens(1, 5);
  sampled.tokens(1, 9);
  sampled.end();
  const { traceId: trace_id, spanId: span_id } = trace;
  expect(await exemplars()).toMatchObject(Array.from({ length: 3 }, () => ({ labels: { trace_id, span_id } })));
});

test("gauges of a card go with the model at once, its counts after the grace, and not while a request runs", async () => {
  const fixture = createFixture(1_000);
  const { metrics, expose } = fixture;
  const families = async (model: string): Promise<string[]> => {
    const all = [...(await expose()).families.values()];
    return all.filter(({ samples }) => samples.some(({ labels }) => labels["model"] === model)).map(({ name }) => name);
  };
  begin(metrics).end();
  const running = begin(metrics);
  expect((await expose()).value("p_model_context_length", { model: "m" })).toBe(4096);
  expect((await expose()).value("p_model_kv_cache_block_size", { model: "m" })).toBe(16);
  expect((await expose()).value("p_model_migration_limit", { model: "m" })).toBe(3);
  fixture.served = [];
  expect(await families("m")).toContain("p_requests");
  expect(await families("m")).not.toContain("p_model_context_length");
  fixture.nowMs = 2_000;
  expect(await families("m")).toContain("p_requests");
  running.end();
  expect(await families("m")).toEqual([]);
  fixture.served = [toFacts("m")];
  begin(metrics).end();
  expect((await expose()).value("p_requests_total", { model: "m" })).toBe(1);
});

test("a model that comes back within the grace goes on where it was", async () => {
  const fixture = createFixture(1_000);
  begin(fixture.metrics).end();
  fixture.served = [];
  await fixture.expose();
  fixture.nowMs = 900;
  fixture.served = [toFacts("m")];
  await fixture.expose();
  fixture.served = [];
  fixture.nowMs = 1_500;
  await fixture.expose();
  fixture.nowMs = 2_400;
  expect((await fixture.expose()).value("p_requests_total", { model: "m" })).toBe(1);
});

test("models that come and go without a scrape do not pile up", async () => {
  const fixture = createFixture(1_000_000);
  for (let index = 0; index < 2_000; index += 1) {
    fixture.served = [toFacts(`model-${index}`)];
    begin(fixture.metrics, `model-${index}`).end();
  }
  expect((await fixture.expose()).find("p_requests_total").length).toBeLessThanOrEqual(258);
});
