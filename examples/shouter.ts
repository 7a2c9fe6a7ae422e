// A model of your own: the last message in capitals, a word at a time.
import { createRuntime } from "@dyn/runtime";
import { serveModel } from "@dyn/runtime/llm";

await using runtime = await createRuntime({
  environment: process.env,
  shutdownSignals: ["SIGINT", "SIGTERM"],
});
const serving = await serveModel(runtime, { model: "shouter" }, async function* ({ messages }) {
  const text = messages.at(-1)?.text ?? "";
  for (const word of text.toUpperCase().split(/(?= )/)) yield { text: word };
});
await serving.closed; // after Ctrl-C, when what runs has finished
