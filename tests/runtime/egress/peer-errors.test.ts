// Errors of the other end of a connection, in the log of a handler that made the call.
import { describe, expect, test } from "vitest";
import { createMemorySpace, createRuntime, RuntimeError, type RequestContext } from "@dyn/runtime";
import { partsOf } from "@dyn/runtime/internal";
import { formatError } from "../../../packages/runtime/src/logging/causes.ts";
import { failureOf } from "../peers.ts";

const config = { discoveryBackend: "mem", log: "off" } as const;

describe("the log of a handler shows no stack of the plane for a fault of the other end:", () => {
  const inner = "dyn://test.inner.generate";
  // A handler whose call of another service fails, and that says so in words of its own.
  async function tell(fail: (context: RequestContext) => unknown): Promise<string> {
    const memorySpace = createMemorySpace();
    await using service = await createRuntime({ config, memorySpace });
    await using caller = await createRuntime({ config, memorySpace });
    await service.endpoint(inner).serve(async (_request, context) => fail(context));
    const client = caller.client(inner);
    await client.waitForInstances();
    const cause = await failureOf(client.call({}));
    return formatError(new Error("the price is not known", { cause }));
  }

  test("an error it has answered", async () => {
    const error = await tell(() => {
      throw new RuntimeError("overloaded", "the till is full");
    });
    expect(error).toMatch(/^Error: the price is not known\n {4}at /);
    expect(error.split("caused by: ")[1]).toBe("RuntimeError: the till is full (overloaded)");
  });

  test("its loss", async () => {
    const error = await tell((context) => {
      partsOf(context).connection.cut();
      return "nobody hears it";
    });
    expect(error.split("caused by: ").slice(1).join("")).toMatch(
      /^RuntimeError: \S+ closed the connection \(disconnected\)$/,
    );
  });
});
