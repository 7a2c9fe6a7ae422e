// Which traces are exported, and what the flags say that travel to the worker.
import { expect, test } from "vitest";
import { chat, lineOf, postChat, startCluster } from "../../support/cluster.ts";
import { startReceiver } from "./receiver.ts";
import { draw, newTrace, terminate, wholeTree } from "./span-tree.ts";

interface Sampling {
  readonly what: string;
  readonly env: Readonly<Record<string, string>>;
  /** Flags of clients' traceparents, `none` where there is none, and those at the worker. */
  readonly flags: Readonly<Record<string, string>>;
}

const ratio = (ratio: string): Record<string, string> => ({
  OTEL_TRACES_SAMPLER: "parentbased_traceidratio",
  OTEL_TRACES_SAMPLER_ARG: ratio,
});

test.each<Sampling>([
  {
    what: "the default takes what the client samples, and keeps the random bit",
    env: {},
    flags: { "01": "01", "00": "00", "02": "02" },
  },
  {
    what: "ratio 0 leaves a new trace, and takes what the client samples",
    env: ratio("0"),
    flags: { none: "02", "03": "03" },
  },
  { what: "ratio 1 takes a new trace", env: ratio("1"), flags: { none: "03" } },
  { what: "Dynamo's ratio 0 leaves a new trace", env: { OTEL_TRACES_SAMPLE_RATIO: "0" }, flags: { none: "02" } },
  { what: "always_off overrules the client", env: { OTEL_TRACES_SAMPLER: "always_off" }, flags: { "01": "00" } },
  { what: "always_on overrules the client", env: { OTEL_TRACES_SAMPLER: "always_on" }, flags: { "02": "03" } },
])("sampling: $what", async ({ env, flags }) => {
  await using receiver = await startReceiver();
  const delay = { OTEL_BSP_SCHEDULE_DELAY: "600000" }; // what arrives was flushed by SIGTERM, and then all has arrived
  await using cluster = await startCluster({ env: { ...receiver.env("grpc"), ...env, ...delay } });
  const sampled: string[] = [];
  for (const [sent, seen] of Object.entries(flags)) {
    const headers = sent === "none" ? {} : newTrace(sent).headers;
    const answer = await postChat(cluster.url, chat("x"), headers);
    await answer.text();
    const id = answer.headers.get("request-id");
    const line = await lineOf(cluster.workers[0], "request received", { request_id: id });
    expect([sent, line["trace_flags"]]).toEqual([sent, seen]);
    if ((Number.parseInt(seen, 16) & 1) === 1) sampled.push(String(line["trace_id"]));
  }
  await terminate(cluster.frontend, ...cluster.workers);
  expect(Object.keys(Object.groupBy(receiver.spans(), ({ traceId }) => traceId)).toSorted()).toEqual(
    sampled.toSorted(),
  );
  expect(draw(receiver.spans())).toEqual(sampled.length > 0 ? wholeTree : []);
});
