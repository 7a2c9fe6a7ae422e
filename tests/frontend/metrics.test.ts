// What a request adds to which series, and how models come and go, with given clocks.
import { RuntimeError } from "@dyn/runtime";
import { acceptTrace, createRuntimeMetrics, renderMetrics } from "@dyn/runtime/internal";
import { expect, test } from "vitest";
import {
  createFrontendMetrics,
  type FrontendMetrics,
  type ModelFacts,
} from "../../packages/frontend/src/observe/metrics.ts";
import type { MeteredAnswer, MeteredEnd } from "../../packages/frontend/src/observe/request-meter.ts";
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

const request = {
  endpoint: "chat_completions",
  requestType: "stream" as const,
  trace: acceptTrace(undefined),
  startedAt: 0,
};
const well: MeteredEnd = { endedAt: 1_000, failure: undefined, isDisconnected: false };
const answer: MeteredAnswer = { inputTokens: 10, cachedTokens: undefined, outputTokens: 6, retries: 0, resumptions: 0 };

test("tokens of one batch share its time; those of the first are all time to first token", async () => {
  const { metrics, expose } = createFixture();
  const meter = metrics.begin("m", request);
  expect((await expose()).value("p_queued_requests", { model: "m" })).toBe(1);
  meter.tokens(2, 100);
  expect((await expose()).value("p_queued_requests", { model: "m" })).toBe(0);
  meter.tokens(3, 130);
  meter.tokens(1, 140);
  const during = await expose();
  expect(during.value("p_output_tokens_total")).toBe(6);
  for (const name of ["active", "inflight"]) expect(during.value(`p_${name}_requests`, { model: "m" })).toBe(1);
  meter.finish(well, answer);
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
  const meter = metrics.begin("m", request);
  meter.tokens(1, 10);
  const failure = new RuntimeError("cancelled", "x");
  meter.finish(
    { ...well, failure, isDisconnected: true },
    { ...answer, outputTokens: 40, cachedTokens: 8, retries: 2, resumptions: 3 },
  );
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
  metrics.begin("m", request).finish({ ...well, failure }, { ...answer, outputTokens: 0, inputTokens: undefined });
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
  const unsampled = metrics.begin("m", { ...request, trace: { ...request.trace, flags: 2 } });
  unsampled.tokens(1, 5);
  unsampled.tokens(1, 9);
  unsampled.finish(well, answer);
  expect(await exemplars()).toEqual([]);
  const sampled = metrics.begin("m", { ...request, trace: { ...request.trace, flags: 3 } });
  sampled.tokens(1, 5);
  sampled.tokens(1, 9);
  sampled.finish(well, answer);
  const { traceId: trace_id, spanId: span_id } = request.trace;
  expect(await exemplars()).toMatchObject(Array.from({ length: 3 }, () => ({ labels: { trace_id, span_id } })));
});

test("gauges of a card go with the model at once, its counts after the grace, and not while a request runs", async () => {
  const fixture = createFixture(1_000);
  const { metrics, expose } = fixture;
  const families = async (model: string): Promise<string[]> => {
    const all = [...(await expose()).families.values()];
    return all.filter(({ samples }) => samples.some(({ labels }) => labels["model"] === model)).map(({ name }) => name);
  };
  metrics.begin("m", request).finish(well, answer);
  const running = metrics.begin("m", request);
  expect((await expose()).value("p_model_context_length", { model: "m" })).toBe(4096);
  expect((await expose()).value("p_model_kv_cache_block_size", { model: "m" })).toBe(16);
  expect((await expose()).value("p_model_migration_limit", { model: "m" })).toBe(3);
  fixture.served = [];
  expect(await families("m")).toContain("p_requests");
  expect(await families("m")).not.toContain("p_model_context_length");
  fixture.nowMs = 2_000;
  expect(await families("m")).toContain("p_requests");
  running.finish(well, answer);
  expect(await families("m")).toEqual([]);
  fixture.served = [toFacts("m")];
  metrics.begin("m", request).finish(well, answer);
  expect((await expose()).value("p_requests_total", { model: "m" })).toBe(1);
});

test("a model that comes back within the grace goes on where it was", async () => {
  const fixture = createFixture(1_000);
  fixture.metrics.begin("m", request).finish(well, answer);
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
    fixture.metrics.begin(`model-${index}`, request).finish(well, answer);
  }
  expect((await fixture.expose()).find("p_requests_total").length).toBeLessThanOrEqual(258);
});
