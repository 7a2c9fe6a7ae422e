// Which traces are exported, and what the flags say that travel to the worker.
import { expect, test } from "vitest";
import { chat, postChat, startCluster } from "../../support/cluster.ts";
import { startReceiver } from "./receiver.ts";
import { draw, lineOf, newTrace, terminate, wholeTree } from "./span-tree.ts";

interface Sampling {
  readonly what: string;
  readonly env: Readonly<Record<string, string>>;
  /** Flags of the client's traceparent; undefined: it sends none. */
  readonly flags: string | undefined;
  /** Flags at the worker. */
  readonly seen: string;
}

test.each<Sampling>([
  { what: "the default takes what the client samples", env: {}, flags: "01", seen: "01" },
  { what: "the default leaves what the client does not sample", env: {}, flags: "00", seen: "00" },
  { what: "the random bit stays", env: {}, flags: "02", seen: "02" },
  {
    what: "ratio 0 leaves a new trace",
    env: { OTEL_TRACES_SAMPLER: "parentbased_traceidratio", OTEL_TRACES_SAMPLER_ARG: "0" },
    flags: undefined,
    seen: "02",
  },
  {
    what: "ratio 0 takes what the client samples",
    env: { OTEL_TRACES_SAMPLER: "parentbased_traceidratio", OTEL_TRACES_SAMPLER_ARG: "0" },
    flags: "03",
    seen: "03",
  },
  {
    what: "ratio 1 takes a new trace",
    env: { OTEL_TRACES_SAMPLER: "parentbased_traceidratio", OTEL_TRACES_SAMPLER_ARG: "1" },
    flags: undefined,
    seen: "03",
  },
  { what: "Dynamo's ratio 0 leaves a new trace", env: { OTEL_TRACES_SAMPLE_RATIO: "0" }, flags: undefined, seen: "02" },
  { what: "always_off overrules the client", env: { OTEL_TRACES_SAMPLER: "always_off" }, flags: "01", seen: "00" },
  { what: "always_on overrules the client", env: { OTEL_TRACES_SAMPLER: "always_on" }, flags: "02", seen: "03" },
])("sampling: $what", async ({ env, flags, seen }) => {
  await using receiver = await startReceiver();
  const delay = { OTEL_BSP_SCHEDULE_DELAY: "600000" }; // what arrives was flushed by SIGTERM, and then all has arrived
  await using cluster = await startCluster({ env: { ...receiver.env("grpc"), ...env, ...delay } });
  const { headers } = newTrace(flags);
  await (await postChat(cluster.url, chat("x"), flags === undefined ? {} : headers)).text();
  const line = await lineOf(cluster.workers[0], "request received");
  expect(line["trace_flags"]).toBe(seen);
  await terminate(cluster.frontend, ...cluster.workers);
  const isSampled = (Number.parseInt(seen, 16) & 1) === 1;
  expect(draw(receiver.spans())).toEqual(isSampled ? wholeTree : []);
});
