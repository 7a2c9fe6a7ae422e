// What a handler throws, as its caller sees it.
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
