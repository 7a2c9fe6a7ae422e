// An endpoint of your own: greets whoever asks, a word at a time.
import { createRuntime } from "@dyn/runtime";

await using runtime = await createRuntime({
  environment: process.env,
  shutdownSignals: ["SIGINT", "SIGTERM"],
});
const endpoint = runtime.endpoint("dyn://demo.greeter.generate");
const serving = await endpoint.serve(async function* ({ name }: { name: string }, { log }) {
  for (const word of ["hello", name]) {
    log.info({ word }, "saying");
    yield { word };
  }
});
await serving.closed; // after Ctrl-C, when what runs has finished
