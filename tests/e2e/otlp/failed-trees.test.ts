// Spans as a collector receives them, for requests that fail, are tried again, are cancelled, or never reach a worker.
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { chat, eventually, lineOf, postChat, startCluster, type Cluster, type Line } from "../../support/cluster.ts";
import { startReceiver, type Receiver } from "./receiver.ts";
import { draw, expectSameIds, newTrace, only, spansOf, startSpanner, wholeTree } from "./span-tree.ts";

test("an engine that throws is an error on every floor", async () => {
  await using receiver = await startReceiver();
  const env = receiver.env("grpc");
  await using cluster = await startCluster({ workers: 0, env });
  await using spanner = await startSpanner(cluster, env);
  const trace = newTrace();
  expect((await postChat(cluster.url, { ...chat("throw"), model: "spanner" }, trace.headers)).status).toBe(500);
  const spans = await spansOf(receiver, trace.traceId, 4);
  expect(draw(spans)).toEqual(wholeTree);
  for (const span of spans) {
    expect(span.status.code).toBe("ERROR");
    expect(span.attributes).toMatchObject({ "error.type": "internal", "request.outcome": "error" });
  }
  expect(only(spans, "http-request").attributes["http.response.status_code"]).toBe(500);
  expect(only(spans, "engine.generate").status.message).toBe("the engine is broken");
  expect(only(spans, "http-request").status.message).not.toContain("the engine is broken");
  expectSameIds(only(spans, "engine.generate"), await lineOf(spanner, "engine began"));
});

test("each attempt has a span: the one that failed, and the one that succeeded", async () => {
  await using receiver = await startReceiver();
  await using cluster = await startCluster({ workers: 2, env: receiver.env("grpc") });
  cluster.workers[0]?.kill("SIGKILL");
  await cluster.workers[0]?.exited;
  const retried = await eventually("a retry", async () => {
    const trace = newTrace();
    expect((await postChat(cluster.url, chat("hello"), trace.headers)).status).toBe(200);
    const isIt = (line: Line): boolean => line["trace_id"] === trace.traceId && line["message"] === "request completed";
    const completed = await eventually("its line", () => cluster.frontend.lines().find(isIt));
    return completed["attempts"] === 2 && trace;
  });
  const spans = await spansOf(receiver, retried.traceId, 5);
  expect(draw(spans)).toEqual(["http-request", "  router.route_request", ...wholeTree.slice(1)]);
  const [failed, succeeded] = spans.filter(({ name }) => name === "router.route_request");
  expect(failed).toMatchObject({
    status: { code: "ERROR" },
    attributes: { "request.attempt": 0, "migration.is_retry": false },
  });
  expect(["connection_failed", "worker_disconnected"]).toContain(failed?.attributes["request.outcome"]);
  expect(succeeded).toMatchObject({
    status: { code: "UNSET" },
    attributes: { "request.attempt": 1, "migration.is_retry": true, "request.outcome": "success" },
  });
  expect(only(spans, "http-request")).toMatchObject({
    status: { code: "UNSET" },
    attributes: { attempts: 2, "request.outcome": "success" },
  });
});

describe("beside a worker that is held after two tokens,", () => {
  let receiver: Receiver;
  let cluster: Cluster;
  beforeAll(async () => {
    receiver = await startReceiver();
    cluster = await startCluster({ env: receiver.env("http/protobuf"), workerArgs: ["--fault", "hang@2"] });
  });
  afterAll(async () => {
    await cluster[Symbol.asyncDispose]();
    await receiver[Symbol.asyncDispose]();
  });

  test("a client that leaves cancels the tree; nothing in it is an error", async () => {
    const trace = newTrace();
    const aborter = new AbortController();
    const response = await postChat(
      cluster.url,
      chat("word ".repeat(1_000), { stream: true }),
      trace.headers,
      aborter.signal,
    );
    await response.body?.getReader().read();
    aborter.abort();
    const spans = await spansOf(receiver, trace.traceId, 4);
    expect(draw(spans)).toEqual(wholeTree);
    for (const span of spans) {
      expect(span.status.code).toBe("UNSET");
      expect(span.attributes["request.outcome"]).toBe("cancelled");
      expect(span.attributes["error.type"]).toBeUndefined();
    }
    expect(only(spans, "http-request").attributes["gen_ai.usage.output_tokens"]).toBeGreaterThan(0);
  });

  test("a request no worker sees has a span alone: an error type, but no error status, for what the client did wrong", async () => {
    const cases = [
      ["/v1/chat/completions", JSON.stringify({ ...chat("x"), model: "nope" }), 404, "not_found"],
      ["/v1/chat/completions", "{", 400, "invalid_argument"],
      ["/v1/elsewhere", "{}", 404, "unknown_route"],
    ] as const;
    for (const [path, body, status, type] of cases) {
      const trace = newTrace();
      const response = await fetch(cluster.url + path, {
        method: "POST",
        headers: { "content-type": "application/json", ...trace.headers },
        body,
      });
      expect(response.status).toBe(status);
      const [span, ...others] = await spansOf(receiver, trace.traceId, 1);
      expect(others).toEqual([]);
      expect(span).toMatchObject({
        name: "http-request",
        status: { code: "UNSET" },
        attributes: { "http.response.status_code": status, "error.type": type },
      });
    }
  });

  test("the worker killed in mid-stream leaves the frontend's half of the tree, marked as failed", async () => {
    const trace = newTrace();
    const response = await postChat(cluster.url, chat("word ".repeat(500), { stream: true }), trace.headers);
    cluster.workers[0]?.kill("SIGKILL");
    expect(await response.text()).toContain('"error"');
    const spans = await spansOf(receiver, trace.traceId, 2);
    expect(draw(spans)).toEqual(wholeTree.slice(0, 2));
    expect(only(spans, "router.route_request")).toMatchObject({
      status: { code: "ERROR" },
      attributes: { "error.type": "disconnected", "request.outcome": "worker_disconnected" },
    });
    expect(only(spans, "http-request")).toMatchObject({
      status: { code: "ERROR" },
      attributes: { "error.type": "disconnected", "request.outcome": "error", "http.response.status_code": 200 },
    });
    expect(only(spans, "http-request").attributes["output_tokens"]).toBeGreaterThan(0);
  });
});
