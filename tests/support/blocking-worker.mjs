// A worker whose handler holds its event loop for as long as it is asked, or waits for ever and holds nothing.
import { createRuntime } from "@dyn/runtime";

await using runtime = await createRuntime({ environment: process.env, shutdownSignals: ["SIGTERM"] });
const serving = await runtime.endpoint("dyn://test.block.generate").serve(async ({ ms, waits = false }) => {
  if (waits) await new Promise(() => undefined);
  if (ms > 0) Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, ms);
  return process.pid;
});
await serving.closed;
