// What export costs when it is off, and what is said when it is set up badly.
import { join } from "node:path";
import { createRuntime } from "@dyn/runtime";
import { describe, expect, test } from "vitest";
import { createLogger } from "../../support/logger.ts";
import { chat, lineOf, postChat, root, startCluster, startProgram, type Line } from "../../support/cluster.ts";

test("with export off no part of OpenTelemetry or grpc is loaded, and user code still knows its place", async () => {
  const watch = { NODE_OPTIONS: `--import ${join(root, "tests/e2e/otlp/record-imports.mjs")}` };
  await using cluster = await startCluster({ env: watch });
  await (await postChat(cluster.url, chat("x"))).text();
  for (const program of [cluster.frontend, ...cluster.workers]) {
    await lineOf(program, "request completed");
    expect(program.stderr()).not.toContain("loads ");
  }
  // The same watch sees them when export is on: it can fail.
  await using on = startProgram("dyn-mock-worker", [], {
    ...watch,
    OTEL_EXPORT_ENABLED: "1",
    DYN_FILE_KV: cluster.directory,
  });
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

describe("an export that is asked for", () => {
  const open = async (environment: Readonly<Record<string, string>>): Promise<{ isOn: boolean; lines: Line[] }> => {
    const lines: Line[] = [];
    const log = createLogger({ sink: (record) => lines.push(record) });
    await using runtime = await createRuntime({
      config: { discoveryBackend: "mem", otelExportEnabled: true },
      environment,
      log: log.pino,
    });
    return { isOn: runtime.tracer.isOn, lines: lines.filter(({ target }) => target === "dyn_runtime::telemetry") };
  };

  test.each([
    ["OTEL_SDK_DISABLED", "true"],
    ["OTEL_SDK_DISABLED", "TRUE\n"],
    ["OTEL_TRACES_EXPORTER", "none"],
  ])("is turned off by %s=%j, whatever other variables say, and says so", async (name, value) => {
    const { isOn, lines } = await open({ [name]: value, OTEL_TRACES_SAMPLER: "sometimes" });
    expect(isOn).toBe(false);
    expect(lines).toEqual([
      expect.objectContaining({ level: "INFO", message: "trace export is turned off", by: name }),
    ]);
  });

  test.each([
    ["OTEL_SDK_DISABLED", "false"],
    ["OTEL_SDK_DISABLED", ""],
    ["OTEL_TRACES_EXPORTER", "otlp"],
  ])("is left on by %s=%j", async (name, value) => {
    expect((await open({ [name]: value })).isOn).toBe(true);
  });

  test.each([
    ["OTEL_SDK_DISABLED", "1", "true, false"],
    ["OTEL_TRACES_EXPORTER", "console", "otlp, none"],
    ["OTEL_TRACES_EXPORTER", "otlp,console", "otlp, none"],
  ])("is not begun with %s=%j", async (name, value, words) => {
    await expect(open({ [name]: value })).rejects.toThrow(`${name}="${value}": expected one of ${words}`);
  });
});
