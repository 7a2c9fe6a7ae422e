// shouter.ts: a model, served by dyn-frontend under /v1/chat/completions, /v1/completions, /v1/messages
import { createRuntime } from "@dyn/runtime";
import { serveModel } from "@dyn/runtime/llm";
await using runtime = await createRuntime({ shutdownSignals: ["SIGINT", "SIGTERM"] });
const serving = await serveModel(runtime, { model: "shouter" }, async function* (request, { signal }) {
  const last = request.messages.findLast(({ role }) => role === "user")?.text ?? "";  // request: parsed, validated, API-neutral; stop, maxTokens, sampling, tools… beside it
  for (const word of last.toUpperCase().split(/(?= )/)) { signal.throwIfAborted(); yield { text: word }; }  // { text, tokenIds?, finishReason?, usage? }
});                                                                     // stop strings, max_tokens and usage hold even if the engine ignores them
await serving.closed;
