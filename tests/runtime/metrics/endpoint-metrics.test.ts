// What a worker counts of its endpoints, over real sockets in one process.
import { connect } from "node:net";
import { Counter, Registry } from "@prometheus-io/client";
import { expect, test } from "vitest";
import type { Runtime } from "../../../packages/runtime/src/index.ts";
import { renderMetrics } from "../../../packages/runtime/src/internal.ts";
import { encodeRequest } from "../../../packages/runtime/src/wire/messages.ts";
import { eventually } from "../../support/cluster.ts";
import { parseOpenMetrics, type Exposed } from "../../support/open-metrics.ts";
import { collect, failureOf, frame, greeting, rawPeer, request, startPair } from "../peers.ts";

async function expose(runtime: Runtime): Promise<Exposed> {
  return parseOpenMetrics((await renderMetrics(runtime.metrics.registry, "openmetrics")).body);
}

const labels = { dynamo_namespace: "test", dynamo_component: "echo", dynamo_endpoint: "generate" };

test("requests, bytes, time and the first response, by endpoint and instance", async () => {
  await using pair = await startPair();
  const worker_id = pair.server.instanceId;
  await Promise.all([1, 2, 3].map((count) => collect(pair.client.generate({ count, size: 100 }))));
  const exposed = await eventually("all being over", async () => {
    const now = await expose(pair.server);
    return now.value("dynamo_component_request_duration_seconds_count") === 3 && now;
  });
  expect(exposed.find("dynamo_component_requests_total")).toEqual([
    { name: "dynamo_component_requests_total", labels: { ...labels, worker_id }, value: 3 },
  ]);
  expect(exposed.value("dynamo_component_inflight_requests", labels)).toBe(0);
  expect(exposed.value("dynamo_component_request_bytes_total", labels)).toBeGreaterThan(30);
  expect(exposed.value("dynamo_component_response_bytes_total", labels)).toBeGreaterThan(600);
  expect(exposed.value("dynamo_component_response_bytes_total", labels)).toBeLessThan(1_000);
  expect(exposed.value("dynamo_work_handler_time_to_first_response_seconds_count")).toBe(3);
  expect(exposed.value("dynamo_component_uptime_seconds", { worker_id })).toBeGreaterThan(0);
  expect(exposed.find("dynamo_component_errors_total")).toEqual([]);
  expect(exposed.value("dynamo_component_cancellation_total", labels)).toBe(0);
});

test("the caller's side: how long an attempt waits to be sent, and then for its first items", async () => {
  await using pair = await startPair();
  await collect(pair.client.generate({ count: 5 }));
  const exposed = await expose(pair.caller);
  for (const name of ["queue_seconds", "roundtrip_ttft_seconds"])
    expect(exposed.value(`dynamo_request_plane_${name}_count`)).toBe(1);
  expect(exposed.value("dynamo_request_plane_inflight_requests")).toBe(0);
  expect(exposed.value("dynamo_request_plane_connections")).toBe(1);
});

test("a failure is counted under the step that failed; a cancelled request is no failure", async () => {
  await using pair = await startPair();
  const bytes = (): never => {
    throw new Error("cannot be encoded");
  };
  async function* one(): AsyncGenerator<number> {
    yield 1;
  }
  await pair.server.endpoint("dyn://test.echo.odd").serve(one, { encodeItem: bytes });
  await failureOf(collect(pair.client.generate({ count: 1, fail: true })));
  using odd = pair.caller.client("dyn://test.echo.odd");
  await odd.waitForInstances();
  await failureOf(collect(odd.generate({})));
  const aborter = new AbortController();
  const cancelled = failureOf(collect(pair.client.generate({ count: 0 }, { signal: aborter.signal })));
  await eventually("the request", () => pair.contexts.length === 2);
  aborter.abort();
  await cancelled;
  using peer = rawPeer(connect({ port: pair.port, host: "127.0.0.1" }), false);
  peer.sendBytes(greeting());
  peer.send((writer) => encodeRequest(writer, 1, { ...request, payload: frame("c1") }));
  const exposed = await eventually("all four being over", async () => {
    const now = await expose(pair.server);
    return now.value("dynamo_component_request_duration_seconds_count") === 4 && now;
  });
  const errors = exposed
    .find("dynamo_component_errors_total")
    .map(({ labels, value }) => `${labels["dynamo_endpoint"]} ${labels["error_type"]} ${value}`);
  expect(errors.toSorted()).toEqual(["generate deserialization 1", "generate generate 1", "odd serialization 1"]);
  expect(exposed.value("dynamo_component_cancellation_total", labels)).toBe(1);
});

test("requests over the limit of streams are rejections", async () => {
  await using pair = await startPair();
  using peer = rawPeer(connect({ port: pair.port, host: "127.0.0.1" }), false);
  peer.sendBytes(greeting());
  const many = 16_384 + 5; // what the server says in its HELLO, and some more
  peer.send((writer) => {
    for (let id = 1; id <= many; id += 1) encodeRequest(writer, id, { ...request, payload: frame("81a5636f756e7400") }); // { count: 0 }: until cancelled
  });
  await eventually(
    "the rejections",
    async () => (await expose(pair.server)).value("dynamo_rejection_request_total") === 5,
  );
});

test("metrics of the program stand beside the runtime's", async () => {
  await using pair = await startPair();
  const registry = new Registry();
  new Counter({ name: "my_words_total", help: "Words", registers: [registry] }).inc(7);
  pair.server.metrics.registry.include(registry);
  expect((await expose(pair.server)).value("my_words_total")).toBe(7);
});
