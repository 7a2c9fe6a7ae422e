// Spans and lines of code inside a handler.
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import {
  chat,
  eventually,
  lineOf,
  postChat,
  startCluster,
  type Cluster,
  type Line,
  type Program,
} from "../../support/cluster.ts";
import { startReceiver, type Receiver } from "./receiver.ts";
import { draw, expectSameIds, newTrace, only, spansOf, startSpanner, terminate, wholeTree } from "./span-tree.ts";

describe("at a worker that makes spans of its own,", () => {
  let receiver: Receiver;
  let cluster: Cluster;
  let spanner: Program;
  beforeAll(async () => {
    receiver = await startReceiver();
    const env = receiver.env("http/protobuf");
    cluster = await startCluster({ workers: 0, env });
    spanner = await startSpanner(cluster, env);
  });
  afterAll(async () => {
    for (const each of [spanner, cluster, receiver]) await each[Symbol.asyncDispose]();
  });

  test("spans and lines of user code join the tree, across the engine's awaits and yields", async () => {
    const trace = newTrace("03");
    expect((await postChat(cluster.url, { ...chat("call"), model: "spanner" }, trace.headers)).status).toBe(200);
    const spans = await spansOf(receiver, trace.traceId, 14);
    expect(draw(spans)).toEqual([
      ...wholeTree,
      "        before the first token",
      "          inside it",
      "        between tokens",
      "        asking for help",
      "          client_request",
      "            router.route_request",
      "              handle_payload",
      "                helper work",
      "                more helper work",
      "        on the way out",
    ]);
    const engine = only(spans, "engine.generate");
    expect(engine.attributes["tests.prompt"]).toBe("call"); // set by the engine on the active span
    const began = await lineOf(spanner, "engine began");
    expectSameIds(engine, began);
    expect(began["traceparent"]).toBe(`00-${trace.traceId}-${engine.spanId}-03`);
    const helping = await lineOf(spanner, "helping");
    const helped = spans.find(
      ({ name, attributes }) => name === "handle_payload" && attributes["component"] === "helper",
    );
    if (!helped) throw new Error("the helper has no span");
    expectSameIds(helped, helping);
    // The log tells of none of the spans between: it names the engine's on both sides.
    expect(await lineOf(spanner, "route request completed")).toMatchObject({ caller_span_id: engine.spanId });
    const isEngines = (line: Line): boolean =>
      line["message"] === "request completed" && line["engine_span_id"] === engine.spanId;
    await eventually("the engine's line", () => spanner.lines().find(isEngines));
  });

  test("a count of tokens is a tree, too", async () => {
    const trace = newTrace();
    const response = await fetch(`${cluster.url}/v1/messages/count_tokens`, {
      method: "POST",
      headers: { ...trace.headers, "content-type": "application/json" },
      body: JSON.stringify({ ...chat("abc"), model: "spanner" }),
    });
    expect(await response.json()).toEqual({ input_tokens: 3 });
    const spans = await spansOf(receiver, trace.traceId, 3);
    expect(draw(spans)).toEqual(wholeTree.slice(0, 3));
    expect(only(spans, "http-request").attributes).toMatchObject({
      "http.route": "/v1/messages/count_tokens",
      "http.response.status_code": 200,
    });
  });

  test("a call that a handler makes without a word of tracing goes below that handler's span, and so on down", async () => {
    const trace = newTrace();
    const ask = { ...chat("call without a word"), model: "spanner" };
    expect((await postChat(cluster.url, ask, trace.headers)).status).toBe(200);
    const spans = await spansOf(receiver, trace.traceId, 14);
    expect(draw(spans)).toEqual([
      ...wholeTree,
      "        before the first token",
      "          inside it",
      "        between tokens",
      "        client_request",
      "          router.route_request",
      "            handle_payload",
      "              client_request",
      "                router.route_request",
      "                  handle_payload",
      "        on the way out",
    ]);
    expect(new Set(spans.map(({ attributes }) => attributes["request_id"] ?? "of user code")).size).toBe(2);
    const components = spans
      .filter(({ name }) => name === "handle_payload")
      .map(({ attributes }) => attributes["component"]);
    expect(components).toEqual(["backend", "clerk", "shelf"]);
  });

  test("the engine's generator is left with its span active when the client leaves", async () => {
    const trace = newTrace();
    const aborter = new AbortController();
    const response = await postChat(
      cluster.url,
      { ...chat("hang", { stream: true }), model: "spanner" },
      trace.headers,
      aborter.signal,
    );
    expect(response.status).toBe(200);
    await response.body?.getReader().read();
    aborter.abort();
    const spans = await spansOf(receiver, trace.traceId, 8);
    expect(only(spans, "on the way out").parentId).toBe(only(spans, "engine.generate").spanId);
    expect(only(spans, "engine.generate").attributes["request.outcome"]).toBe("cancelled");
  });
});

test("spans of user code follow the sampling of their request", async () => {
  await using receiver = await startReceiver();
  const env = { ...receiver.env("grpc"), OTEL_BSP_SCHEDULE_DELAY: "600000" };
  await using cluster = await startCluster({ workers: 0, env });
  await using spanner = await startSpanner(cluster, env);
  expect((await postChat(cluster.url, { ...chat("call"), model: "spanner" }, newTrace("00").headers)).status).toBe(200);
  expect(await lineOf(spanner, "helping")).toMatchObject({ trace_flags: "00" });
  await terminate(cluster.frontend, spanner);
  expect(draw(receiver.spans())).toEqual([]);
});
