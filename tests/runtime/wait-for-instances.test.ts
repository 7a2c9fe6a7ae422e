import { expect, test } from "vitest";
import { createRuntime } from "@dyn/runtime";

test("waiting for instances that do not come in time says how many are there, and of which endpoint", async () => {
  await using runtime = await createRuntime({ config: { discoveryBackend: "mem", log: "off" } });
  const client = runtime.client("dyn://demo.nobody.here");
  const abort = new AbortController();
  const wait = client.waitForInstances({ count: 2, signal: abort.signal });
  abort.abort(new DOMException("The operation was aborted due to timeout", "TimeoutError"));
  await expect(wait).rejects.toMatchObject({
    code: "deadline_exceeded",
    message: "0 of 2 instances of dyn://demo.nobody.here are there, and the time to wait is over",
  });
});
