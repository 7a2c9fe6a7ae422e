// What a handler throws, as its caller sees it.
import { serveModel } from "@dyn/runtime/llm";
import { createMemorySpace, createRuntime, RuntimeError } from "@dyn/runtime";
import { expect, test } from "vitest";

const config = { discoveryBackend: "mem", log: "off,request_span=off" } as const;

test.each([
  ["an abort of its own", new DOMException("its own call was aborted", "AbortError"), "internal"],
  ["a code of its own choice", new RuntimeError("unimplemented", "not here"), "unimplemented"],
  ["cancelled, which nobody has", new RuntimeError("cancelled", "says the engine"), "internal"],
])("%s", async (_name, thrown, code) => {
  const memorySpace = createMemorySpace();
  await using server = await createRuntime({ config, memorySpace });
  await using caller = await createRuntime({ config, memorySpace });
  await server.endpoint("dyn://test.throws.generate").serve(async function* () {
    yield 1;
    throw thrown;
  });
  const reading = (async () => {
    for await (const _ of caller.client("dyn://test.throws.generate").generate({})) continue;
  })();
  await expect(reading).rejects.toMatchObject({ code });
});

test("a model whose card cannot be published leaves no endpoint behind", async () => {
  const memorySpace = createMemorySpace();
  await using runtime = await createRuntime({ config, memorySpace });
  const { discovery } = runtime;
  const publish = discovery.publish.bind(discovery);
  discovery.publish = (record) => (record.type === "Model" ? Promise.reject(new RuntimeError("unavailable", "full")) : publish(record));
  const tried = serveModel(runtime, { model: "lost" }, async function* () {});
  await expect(tried).rejects.toMatchObject({ code: "unavailable", message: "full" });
  expect([...(memorySpace.records.get("v1/instances") ?? [])]).toEqual([]);
  discovery.publish = publish;
  await using _serving = await serveModel(runtime, { model: "found" }, async function* () {});
});
