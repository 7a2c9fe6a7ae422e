// greeter.ts: a custom endpoint
import { createRuntime } from "@dyn/runtime";
await using runtime = await createRuntime({ shutdownSignals: ["SIGINT", "SIGTERM"] }); // without the option it touches no signal
const serving = await runtime.endpoint("dyn://demo.greeter.generate").serve(
  async function* (request: { name: string }, { signal, log, requestId }) {
    for (const word of ["hello", request.name]) { signal.throwIfAborted(); log.info({ word }, "saying"); yield { word }; }
  });                       // resolves once registered; `serving` is AsyncDisposable (unadvertise, drain)
await serving.closed;       // resolves after a drain
