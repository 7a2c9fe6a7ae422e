// What export costs when it is off, and what is said when it is set up badly.
import { join } from "node:path";
import { expect, test } from "vitest";
import { chat, postChat, root, startCluster, startProgram } from "../cluster.ts";
import { lineOf } from "./span-tree.ts";

test("with export off no part of OpenTelemetry or grpc is loaded, and user code still knows its place", async () => {
  const watch = { NODE_OPTIONS: `--import ${join(root, "tests/otlp/record-imports.mjs")}` };
  await using cluster = await startCluster({ env: watch });
  await (await postChat(cluster.url, chat("x"))).text();
  for (const program of [cluster.frontend, ...cluster.workers]) {
    await lineOf(program, "request completed");
    expect(program.stderr()).not.toContain("loads ");
  }
  // The same watch sees them when export is on: it can fail.
  await using on = startProgram("dyn-mock-worker", [], { ...watch, OTEL_EXPORT_ENABLED: "1", DYN_FILE_KV: cluster.directory });
  await lineOf(on, "endpoint is serving");
  expect(on.stderr()).toContain("loads ");
  expect(on.stderr()).toContain("sdk-trace");
});

test("a bad variable is one line and a non-zero exit where export is on, and not even read where it is off", async () => {
  const bad = { OTEL_TRACES_SAMPLER: "sometimes" };
  await using program = startProgram("dyn-frontend", ["--http-port", "0"], { ...bad, OTEL_EXPORT_ENABLED: "1" });
  expect(await program.exited).toBe(1);
  expect(program.stderr().trim().split("\n")).toHaveLength(1);
  expect(program.stderr()).toContain('OTEL_TRACES_SAMPLER="sometimes": expected one of always_on');
  await using cluster = await startCluster({ env: bad });
  expect((await postChat(cluster.url, chat("x"))).status).toBe(200);
});
