// The packages in a program of somebody else's: what is read, what is refused, and how things end.
import { createFrontend } from "@dyn/frontend";
import { startMockWorker } from "@dyn/mock-worker";
import { createMemorySpace, createRuntime } from "@dyn/runtime";
import { serveModel } from "@dyn/runtime/llm";
import { afterEach, beforeEach, describe, expect, test } from "vitest";

const config = { discoveryBackend: "mem", log: "off" } as const;

async function* nothing(): AsyncGenerator<{ text: string }> {
  yield { text: "" };
}

describe("the environment of the process", () => {
  const bad = { DYN_TCP_RPC_PORT: "x", DYN_HTTP_PORT: "x", DYN_MOCK_SEED: "x", OTEL_TRACES_SAMPLER: "x" };

  beforeEach(() => {
    Object.assign(process.env, bad, { DYN_LOG: "x", OTEL_EXPORT_ENABLED: "1" });
  });
  afterEach(() => {
    for (const name of [...Object.keys(bad), "DYN_LOG", "OTEL_EXPORT_ENABLED"]) delete process.env[name];
  });

  test("is not read by a library that is not told to", async () => {
    await using runtime = await createRuntime({ config });
    expect(runtime.tracer.isOn).toBe(false);
    await using worker = await startMockWorker({ config });
    await using frontend = await createFrontend({ config, httpPort: 0 });
    expect([worker.servings.length, new URL(frontend.url).protocol]).toEqual([1, "http:"]);
  });

  test("is read by a library that is given it, for what is not given otherwise", async () => {
    const environment = process.env;
    await expect(createRuntime({ config, environment })).rejects.toThrow('DYN_TCP_RPC_PORT="x"');
    await expect(createFrontend({ config, environment })).rejects.toThrow('DYN_HTTP_PORT="x"');
    await expect(createFrontend({ config, environment, httpPort: 0 })).rejects.toThrow('DYN_TCP_RPC_PORT="x"');
    await expect(startMockWorker({ config, environment })).rejects.toThrow('DYN_MOCK_SEED="x"');
    await expect(startMockWorker({ config, environment, seed: 1 })).rejects.toThrow('DYN_TCP_RPC_PORT="x"');
    const traced = createRuntime({ config: { ...config, tcpPort: 0, otelExportEnabled: true }, environment });
    await expect(traced).rejects.toThrow('OTEL_TRACES_SAMPLER="x"');
  });
});

test("a frontend that is given a runtime refuses settings for a runtime of its own", async () => {
  await using runtime = await createRuntime({ config });
  await expect(createFrontend({ runtime, config, httpPort: 0 })).rejects.toMatchObject({
    code: "invalid_argument",
    message: "config is for the frontend's own runtime: with runtime, give it to createRuntime() instead",
  });
});

test("an option that is none is refused by its name, for instance one that had another name", async () => {
  const old = JSON.parse('{ "bodyLimitMb": 1 }') as object; // plain JavaScript may give anything
  const refusal = { code: "invalid_argument", message: expect.stringContaining("bodyLimitMb is no option") };
  await expect(createRuntime({ config: { ...config, ...old } })).rejects.toMatchObject(refusal);
  await expect(createFrontend({ config, httpPort: 0, ...old })).rejects.toMatchObject(refusal);
  await expect(startMockWorker({ config, ...old })).rejects.toMatchObject(refusal);
});

test("whatever lives closes by name and by `using`, once: all get the same promise", async () => {
  const memorySpace = createMemorySpace();
  const runtime = await createRuntime({ config, memorySpace });
  const serving = await runtime.endpoint("dyn://demo.a.generate").serve(nothing);
  const model = await serveModel(runtime, { model: "m" }, nothing);
  const frontend = await createFrontend({ runtime, httpPort: 0 });
  const worker = await startMockWorker({ config, memorySpace });
  const client = runtime.client("dyn://demo.a.generate");
  client.close();
  client.close();
  client[Symbol.dispose]();
  await expect(client.waitForInstances()).rejects.toMatchObject({ code: "unavailable" });
  for (const living of [serving, model, frontend, worker, runtime]) {
    const closing = living.close();
    expect(living.close()).toBe(closing);
    expect(living[Symbol.asyncDispose]()).toBe(closing);
    if ("closed" in living) expect(closing).toBe(living.closed);
    await closing;
    expect(living.close()).toBe(closing);
    if ("closed" in living) await living.closed;
  }
});
