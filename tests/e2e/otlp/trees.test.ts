// Spans as a collector receives them, for requests that are answered: real processes, real OTLP over both protocols.
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { chat, lineOf, postChat, release, startCluster, type Cluster } from "../../support/cluster.ts";
import { startReceiver, type Receiver } from "./receiver.ts";
import { clientSpan, draw, expectSameIds, newTrace, only, protocols, spansOf, wholeTree } from "./span-tree.ts";

describe.each(protocols)("over %s", (protocol) => {
  let receiver: Receiver;
  let cluster: Cluster;
  beforeAll(async () => {
    receiver = await startReceiver();
    const resource = {
      OTEL_RESOURCE_ATTRIBUTES: "deployment.environment.name=tests,service.name=other",
      OTEL_SERVICE_NAME: "my service",
    };
    const headers = {
      OTEL_EXPORTER_OTLP_HEADERS: "x-first=one,authorization=Bearer%20secret",
      OTEL_EXPORTER_OTLP_TRACES_HEADERS: "x-first=two",
    };
    const env = { ...receiver.env(protocol), ...resource, ...headers };
    cluster = await startCluster({
      env: { ...env, DYN_LOG: "info,request_span=debug", DYN_SYSTEM_PORT: "0" },
      workerArgs: ["--fault", "hang@4"],
    });
  });
  afterAll(async () => {
    await cluster[Symbol.asyncDispose]();
    await receiver[Symbol.asyncDispose]();
  });

  test("a unary request is one tree, with the ids of the log lines", async () => {
    const trace = newTrace();
    const response = await postChat(cluster.url, chat("one two three"), trace.headers);
    expect(response.status).toBe(200);
    const spans = await spansOf(receiver, trace.traceId, 4);
    expect(draw(spans)).toEqual(wholeTree);
    const [http, route, payload, engine] = wholeTree.map((name) => only(spans, name.trim()));
    if (!http || !route || !payload || !engine) throw new Error("four were asked for");
    expectSameIds(http, await lineOf(cluster.frontend, "request completed"));
    expectSameIds(route, await lineOf(cluster.frontend, "route request completed"));
    expectSameIds(payload, await lineOf(cluster.workers[0], "request completed"));
    expect(http.parentId).toBe(clientSpan);
    expect(spans.map(({ kind }) => kind)).toEqual(["SERVER", "CLIENT", "SERVER", "INTERNAL"]);
    expect(spans.map(({ status }) => status.code)).toEqual(["UNSET", "UNSET", "UNSET", "UNSET"]);
    for (const span of spans) {
      expect(span.traceState).toBe("vendor=1");
      expect(span.attributes).toMatchObject({
        request_id: response.headers.get("request-id"),
        x_request_id: "order-4711",
        "request.outcome": "success",
      });
      expect(span.resource).toMatchObject({
        "service.name": "my service",
        "deployment.environment.name": "tests",
        "telemetry.sdk.language": "nodejs",
      });
    }
    const worker = (await lineOf(cluster.workers[0], "endpoint is serving"))["instance_id"];
    const genAi = {
      "gen_ai.operation.name": "chat",
      "gen_ai.request.model": "mock",
      "gen_ai.usage.input_tokens": 3,
      "gen_ai.usage.output_tokens": 3,
      "gen_ai.response.finish_reasons": ["stop"],
    };
    expect(http.attributes).toMatchObject({
      ...genAi,
      method: "POST",
      uri: "/v1/chat/completions",
      "http.request.method": "POST",
      "http.route": "/v1/chat/completions",
      "http.response.status_code": 200,
      model: "mock",
      worker_id: worker,
      attempts: 1,
      ttft_ms: expect.any(Number),
      avg_itl_ms: expect.any(Number),
    });
    expect(http.events.map(({ name }) => name)).toEqual(["parsed", "first token", "last token"]);
    expect(route.attributes).toMatchObject({
      worker_id: worker,
      "request.attempt": 0,
      "migration.is_retry": false,
      router_mode: "round-robin",
    });
    expect(route.events.map(({ name }) => name)).toEqual(["dispatched"]);
    expect(payload.attributes).toMatchObject({
      namespace: "dynamo",
      component: "backend",
      endpoint: "generate",
      instance_id: worker,
      "request.attempt": 0,
    });
    expect(payload.attributes).toMatchObject({
      model: "mock",
      input_tokens: 3,
      output_tokens: 3,
      finish_reason: "stop",
      items: 4,
    });
    expect(payload.resource["service.instance.id"]).toBe(worker);
    expect(engine.attributes).toMatchObject({
      ...genAi,
      model: "mock",
      ttft_ms: expect.any(Number),
      avg_itl_ms: expect.any(Number),
    });
    // A span lies within its parent: checked where both are of one process, and so of one clock.
    for (const [outer, inner] of [
      [http, route],
      [payload, engine],
    ] as const) {
      expect(inner.startedAt).toBeGreaterThanOrEqual(outer.startedAt);
      expect(inner.endedAt).toBeLessThanOrEqual(outer.endedAt);
      for (const { at } of outer.events) expect(at >= outer.startedAt && at <= outer.endedAt).toBe(true);
    }
    expect(receiver.headers.at(-1)).toMatchObject({ authorization: "Bearer secret", "x-first": "two" });
    expect(cluster.frontend.stderr()).not.toContain("secret");
  });

  test("a streamed request is one tree; without a client's trace it has a root of its own", async () => {
    const response = await postChat(cluster.url, chat("a b c d e", { stream: true }));
    await release(cluster.workers[0]); // the first tokens are out, the last is not
    expect(await response.text()).toContain("[DONE]");
    const id = response.headers.get("request-id");
    const line = await lineOf(cluster.frontend, "request completed", { request_id: id });
    const spans = await spansOf(receiver, String(line["trace_id"]), 4);
    expect(draw(spans)).toEqual(wholeTree);
    const http = only(spans, "http-request");
    expectSameIds(http, line);
    expect(http.parentId).toBe("");
    expect(line["trace_flags"]).toBe("03");
    expect(http.attributes).toMatchObject({
      request_type: "stream",
      "http.response.status_code": 200,
      "gen_ai.usage.output_tokens": 5,
    });
    const [first, last] = ["first token", "last token"].map(
      (name) => http.events.find((event) => event.name === name)?.at ?? 0n,
    );
    expect(Number((last ?? 0n) - (first ?? 0n))).toBeGreaterThan(0);
  });

  test.each([
    ["/v1/completions", { prompt: "one two" }, "text_completion"],
    ["/v1/messages", { messages: [{ role: "user", content: "one two" }], max_tokens: 9 }, "chat"],
  ])("a request to %s has the same tree and says what it is", async (path, body, operation) => {
    const trace = newTrace();
    const headers = { "content-type": "application/json", ...trace.headers };
    const response = await fetch(cluster.url + path, {
      method: "POST",
      headers,
      body: JSON.stringify({ model: "mock", ...body }),
    });
    expect(response.status).toBe(200);
    const spans = await spansOf(receiver, trace.traceId, 4);
    expect(draw(spans)).toEqual(wholeTree);
    for (const name of ["http-request", "engine.generate"]) {
      expect(only(spans, name).attributes).toMatchObject({
        "gen_ai.operation.name": operation,
        "gen_ai.usage.output_tokens": 2,
      });
    }
  });
});

test("a disaggregated request is one tree with two workers; decode links to prefill", async () => {
  await using receiver = await startReceiver();
  await using cluster = await startCluster({ workers: 0, env: receiver.env("grpc") });
  await cluster.addWorker("--disaggregation-mode", "prefill");
  await cluster.addWorker("--disaggregation-mode", "decode");
  const trace = newTrace();
  expect((await postChat(cluster.url, chat("hello"), trace.headers)).status).toBe(200);
  const spans = await spansOf(receiver, trace.traceId, 7);
  expect(draw(spans)).toEqual([...wholeTree, ...wholeTree.slice(1)]);
  const [prefill, decode] = spans.filter(({ name }) => name === "handle_payload");
  const [prompt, rest] = spans.filter(({ name }) => name === "engine.generate");
  expect([prefill, decode].map((span) => span?.attributes["component"])).toEqual(["prefill", "backend"]);
  expect([prompt, rest].map((span) => span?.attributes["disagg_role"])).toEqual(["prefill", "decode"]);
  expect(prompt?.links).toEqual([]);
  expect(rest?.links).toEqual([{ traceId: trace.traceId, spanId: prefill?.spanId }]);
});

test("probes are traced only where their lines are shown", async () => {
  await using receiver = await startReceiver();
  for (const level of ["info", "debug"]) {
    await using cluster = await startCluster({ workers: 0, env: { ...receiver.env("grpc"), DYN_LOG: level } });
    const probe = newTrace();
    const request = newTrace();
    await (await fetch(`${cluster.url}/health`, { headers: probe.headers })).text();
    await (await postChat(cluster.url, chat("x"), request.headers)).text();
    await spansOf(receiver, request.traceId, 1); // of a model that nobody serves
    const seen = receiver.spans().filter(({ traceId }) => traceId === probe.traceId);
    expect(
      seen.map(({ name, attributes }) => [name, attributes["http.route"], attributes["http.response.status_code"]]),
    ).toEqual(level === "debug" ? [["http-request", "/health", 200]] : []);
  }
});
