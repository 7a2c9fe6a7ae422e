// Metrics of real processes after known requests.
import { randomBytes } from "node:crypto";
import { expect, test } from "vitest";
import {
  chat,
  eventually,
  postChat,
  release,
  startCluster,
  systemUrl,
  type Line,
  type Program,
} from "../support/cluster.ts";
import { parseOpenMetrics, type Exposed } from "../support/open-metrics.ts";

const accept = "application/openmetrics-text; version=1.0.0";

async function scrape(url: string): Promise<Exposed> {
  const response = await fetch(`${url}/metrics`, { headers: { accept } });
  expect(response.headers.get("content-type")).toBe("application/openmetrics-text; version=1.0.0; charset=utf-8");
  return parseOpenMetrics(await response.text());
}

function completions(program: Program): Line[] {
  return program.lines().filter(({ message }) => message === "request completed");
}

const f = "dynamo_frontend";
const unary = { endpoint: "chat_completions", request_type: "unary" };
const stream = { endpoint: "chat_completions", request_type: "stream" };

test("a known mix of requests is what both sides count", async () => {
  await using cluster = await startCluster({ workerArgs: ["--itl-ms", "20"], env: { DYN_SYSTEM_PORT: "0" } });
  const { url } = cluster;
  const before = await scrape(url);
  expect(before.find(`${f}_requests_started_total`)).toEqual([]);
  expect(before.value(`${f}_model_context_length`, { model: "mock" })).toBe(0);
  expect(before.value(`${f}_model_kv_cache_block_size`, { model: "mock" })).toBe(16);
  for (let index = 0; index < 2; index += 1) expect((await postChat(url, chat("one two three"))).status).toBe(200);
  expect(await (await postChat(url, chat("a b c d", { stream: true }))).text()).toContain("[DONE]");
  expect((await postChat(url, chat("x", { model: "nobody" }))).status).toBe(404);
  expect((await postChat(url, chat("x", { max_tokens: -1 }))).status).toBe(400);
  expect((await postChat(url, "{")).status).toBe(400);
  const aborter = new AbortController();
  const left = await postChat(url, chat("word ".repeat(1_000), { stream: true }), {}, aborter.signal);
  const reader = left.body?.getReader();
  for (let [text, isDone] = ["", false]; !isDone && text.split('word"').length <= 30;) {
    const read = await reader?.read(); // more tokens than come at once, however busy the machine is
    text += Buffer.from(read?.value ?? []).toString();
    isDone = read?.done ?? true;
  }
  const during = await scrape(url);
  for (const name of ["active_requests", "inflight_requests"])
    expect(during.value(`${f}_${name}`, { model: "mock" })).toBe(1);
  expect(during.value(`${f}_queued_requests`)).toBe(0);
  expect(
    (await scrape(systemUrl(cluster.workers[0]))).value("dynamo_component_inflight_requests", { model: "mock" }),
  ).toBe(1);
  aborter.abort();
  await eventually("all seven being over", () => completions(cluster.frontend).length === 7);
  const lines = completions(cluster.frontend);
  const sum = (name: string): number => lines.reduce((total, line) => total + Number(line[name] ?? 0), 0);
  const after = await scrape(url);
  expect(after.value(`${f}_requests_started_total`, { model: "mock", ...unary })).toBe(3);
  expect(after.value(`${f}_requests_started_total`, { model: "mock", ...stream })).toBe(2);
  expect(after.value(`${f}_requests_started_total`, { model: "unknown_model", ...unary })).toBe(2);
  const success = { status: "success", error_type: "" };
  const error = (error_type: string): Record<string, string> => ({ status: "error", error_type });
  expect(after.find(`${f}_requests_total`).map(({ labels, value }) => ({ ...labels, value }))).toEqual(
    expect.arrayContaining([
      { model: "mock", ...unary, ...success, value: 2 },
      { model: "mock", ...stream, ...success, value: 1 },
      { model: "mock", ...unary, ...error("validation"), value: 1 },
      { model: "mock", ...stream, ...error("cancelled"), value: 1 },
      { model: "unknown_model", ...unary, ...error("not_found"), value: 1 },
      { model: "unknown_model", ...unary, ...error("validation"), value: 1 },
    ]),
  );
  expect(after.find(`${f}_requests_total`)).toHaveLength(6);
  expect(after.find(`${f}_model_cancellation_total`)).toMatchObject([
    { labels: { model: "mock", ...stream }, value: 1 },
  ]);
  expect(after.value(`${f}_disconnected_clients`)).toBe(1);
  for (const name of ["active", "inflight", "queued"]) expect(after.value(`${f}_${name}_requests`)).toBe(0);
  expect(after.value(`${f}_request_duration_seconds_count`, { model: "mock" })).toBe(5);
  expect(after.value(`${f}_request_duration_seconds_count`, { model: "unknown_model" })).toBe(2);
  expect(after.value(`${f}_request_duration_seconds_sum`)).toBeCloseTo(sum("elapsed_ms") / 1000, 3);
  expect(after.value(`${f}_time_to_first_token_seconds_count`)).toBe(4);
  expect(after.value(`${f}_time_to_first_token_seconds_sum`)).toBeCloseTo(sum("ttft_ms") / 1000, 3);
  expect(after.value(`${f}_input_sequence_tokens_sum`)).toBe(10 + 1_001); // that of the client that left too
  expect(sum("input_tokens")).toBe(10 + 1_001);
  expect(after.value(`${f}_output_tokens_total`)).toBe(sum("output_tokens"));
  expect(after.value(`${f}_output_sequence_tokens_sum`)).toBe(sum("output_tokens"));
  const gaps = after.value(`${f}_inter_token_latency_seconds_count`);
  expect(gaps).toBeGreaterThan(4);
  expect(gaps).toBeLessThanOrEqual(sum("output_tokens") - 4);
  expect(after.value("dynamo_request_plane_roundtrip_ttft_seconds_count")).toBe(4);
  expect(after.value("dynamo_request_plane_lineage_mismatch_total")).toBe(0);
  const worker = await eventually("the worker's four being over", async () => {
    const now = await scrape(systemUrl(cluster.workers[0]));
    return now.value("dynamo_component_inflight_requests") === 0 && now;
  });
  const labels = {
    dynamo_namespace: "dynamo",
    dynamo_component: "backend",
    dynamo_endpoint: "generate",
    model: "mock",
  };
  expect(worker.value("dynamo_component_requests_total", labels)).toBe(4);
  expect(worker.value("dynamo_component_request_duration_seconds_count", labels)).toBe(4);
  expect(worker.value("dynamo_component_cancellation_total", labels)).toBe(1);
  expect(worker.find("dynamo_component_errors_total")).toEqual([]);
});

test("text 0.0.4 unless OpenMetrics is asked for, whatever was asked before", async () => {
  await using cluster = await startCluster();
  await postChat(cluster.url, chat("x"));
  await scrape(cluster.url);
  const response = await fetch(`${cluster.url}/metrics`);
  expect(response.headers.get("content-type")).toBe("text/plain; version=0.0.4; charset=utf-8");
  const text = await response.text();
  expect(text).toContain(
    '# TYPE dynamo_frontend_requests_total counter\ndynamo_frontend_requests_total{endpoint="chat_completions",error_type="",model="mock",request_type="unary",status="success"} 1\n',
  );
  expect(text).toContain('dynamo_frontend_request_duration_seconds_bucket{model="mock",le="+Inf"} 1\n');
  expect(text).not.toContain("# EOF");
});

test("a thousand made-up models, paths and ids add no series", async () => {
  await using cluster = await startCluster();
  const sizeOf = ({ families }: Exposed): number =>
    [...families.values()].reduce((sum, { samples }) => sum + samples.length, 0);
  const send = async (index: number): Promise<void> => {
    const answers = await Promise.all([
      postChat(cluster.url, chat("x", { model: `made-up-${index}` }), { "x-request-id": `id-${index}` }),
      fetch(`${cluster.url}/made-up/${index}`),
    ]);
    for (const answer of answers) expect([answer.status, await answer.text()]).toEqual([404, expect.any(String)]);
  };
  await send(0);
  const before = sizeOf(await scrape(cluster.url));
  const queue = Array.from({ length: 1_000 }, (_, index) => index + 1);
  const lane = async (): Promise<void> => {
    for (let next = queue.pop(); next !== undefined; next = queue.pop()) await send(next);
  };
  await Promise.all(Array.from({ length: 16 }, lane));
  const after = await scrape(cluster.url);
  expect(sizeOf(after)).toBe(before);
  expect(
    after.value(`${f}_requests_total`, {
      model: "unknown_model",
      endpoint: "chat_completions",
      error_type: "not_found",
    }),
  ).toBe(1_001);
});

test("exemplars point to spans of the log, of sampled traces only", async () => {
  await using cluster = await startCluster({ workerArgs: ["--fault", "hang@2"], env: { DYN_SYSTEM_PORT: "0" } });
  const ids = [1, 0].map((flag) => ({
    flag,
    traceId: randomBytes(16).toString("hex"),
    parentId: randomBytes(8).toString("hex"),
  }));
  for (const { flag, traceId, parentId } of ids) {
    const headers = { traceparent: `00-${traceId}-${parentId}-0${flag}` };
    const response = await postChat(cluster.url, chat("a b c d", { stream: true }), headers);
    await release(cluster.workers[0]); // so that its tokens do not come all at once
    await response.text();
  }
  await eventually("both being over", () => completions(cluster.frontend).length === 2);
  const lineOf = (program: Program | undefined): Line | undefined =>
    program?.lines().find((line) => line["message"] === "request completed" && line["trace_id"] === ids[0]?.traceId);
  const pick = (line: Line | undefined): unknown => ({ trace_id: line?.["trace_id"], span_id: line?.["span_id"] });
  const exemplarsOf = (exposed: Exposed, name: string): unknown[] =>
    exposed.find(`${name}_bucket`).flatMap(({ exemplar }) => (exemplar ? [exemplar.labels] : []));
  const exposed = await scrape(cluster.url);
  for (const name of ["time_to_first_token_seconds", "inter_token_latency_seconds", "request_duration_seconds"]) {
    expect(exemplarsOf(exposed, `${f}_${name}`)).toEqual([pick(lineOf(cluster.frontend))]);
  }
  const worker = await eventually("the worker's exemplar", async () => {
    const now = await scrape(systemUrl(cluster.workers[0]));
    return now.value("dynamo_component_request_duration_seconds_count") === 2 && now;
  });
  expect(exemplarsOf(worker, "dynamo_component_request_duration_seconds")).toEqual([pick(lineOf(cluster.workers[0]))]);
});

const migrations = `${f}_model_migration_total`;

test("requests that another instance took over before anything was delivered are migrations of new requests", async () => {
  await using cluster = await startCluster({ workers: 2 });
  cluster.workers[0]?.kill("SIGKILL");
  await cluster.workers[0]?.exited;
  for (let index = 0; index < 4; index += 1) expect((await postChat(cluster.url, chat("x"))).status).toBe(200);
  await eventually("all four lines", () => completions(cluster.frontend).length === 4);
  const retries = completions(cluster.frontend).reduce((sum, line) => sum + Number(line["attempts"]) - 1, 0);
  expect(retries).toBeGreaterThan(0);
  const exposed = await scrape(cluster.url);
  expect(exposed.value(migrations, { model: "mock", migration_type: "new_request" })).toBe(retries);
  expect(exposed.value(migrations, { model: "mock", migration_type: "ongoing_request" })).toBe(0);
});

test("requests that another instance went on with are migrations of ongoing requests", async () => {
  await using cluster = await startCluster({ workers: 0, workerArgs: ["--itl-ms", "1"] });
  await cluster.addWorker("--fault", "cut@5");
  await cluster.addWorker();
  for (let index = 0; index < 4; index += 1) {
    expect(await (await postChat(cluster.url, chat("a b c d e f g h i j", { stream: true }))).text()).toContain(
      "[DONE]",
    );
  }
  await eventually("all four lines", () => completions(cluster.frontend).length === 4);
  const resumptions = completions(cluster.frontend).reduce((sum, line) => sum + Number(line["attempts"]) - 1, 0);
  expect(resumptions).toBeGreaterThan(0);
  const exposed = await scrape(cluster.url);
  expect(exposed.value(migrations, { model: "mock", migration_type: "ongoing_request" })).toBe(resumptions);
  expect(exposed.value(migrations, { model: "mock", migration_type: "new_request" })).toBe(0);
  expect(exposed.value(`${f}_output_tokens_total`)).toBe(40);
});

test("the series of a model that is gone go too", async () => {
  await using cluster = await startCluster({ frontendArgs: ["--metrics-model-grace-secs", "0"] });
  await postChat(cluster.url, chat("x"));
  const ofModel = ({ families }: Exposed): string[] =>
    [...families.values()]
      .filter(({ samples }) => samples.some(({ labels }) => labels["model"] === "mock"))
      .map(({ name }) => name);
  expect(ofModel(await scrape(cluster.url))).toContain(`${f}_requests`);
  cluster.workers[0]?.kill("SIGTERM");
  await eventually("no series of the model", async () => ofModel(await scrape(cluster.url)).length === 0);
});
