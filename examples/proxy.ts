// A model that another server serves: asks it through OpenAI's API, and passes on what it says, errors too.
import OpenAI, { APIConnectionError, APIError, APIUserAbortError } from "openai";
import { createRuntime, RuntimeError } from "@dyn/runtime";
import { serveModel, type Delta, type Message } from "@dyn/runtime/llm";

const { UPSTREAM_URL: baseURL, UPSTREAM_MODEL: model = "mock", UPSTREAM_API_KEY: apiKey = "none" } = process.env;
const upstream = new OpenAI({ baseURL, apiKey, maxRetries: 0 }); // whoever asks us decides what is tried again

await using runtime = await createRuntime({ environment: process.env, shutdownSignals: ["SIGINT", "SIGTERM"] });
const serving = await serveModel(runtime, { model: "proxy" }, async function* (request, context) {
  const { signal, requestId, setResponseHeaders } = context;
  try {
    const { stop, maxTokens, sampling } = request;
    const asked = upstream.chat.completions.create(
      {
        model,
        messages: request.messages.map(toMessage),
        ...(stop.length > 0 && { stop: [...stop] }),
        ...(maxTokens !== undefined && { max_completion_tokens: maxTokens }),
        ...(sampling.temperature !== undefined && { temperature: sampling.temperature }),
        ...(sampling.topP !== undefined && { top_p: sampling.topP }),
        stream: true,
        stream_options: { include_usage: true },
      },
      { signal, headers: { "x-request-id": requestId } }, // so that the log over there can be searched for it
    );
    const { data: stream, response } = await asked.withResponse();
    setResponseHeaders(toLimits(response.headers));
    for await (const chunk of stream) yield toDelta(chunk);
  } catch (error) {
    if (error instanceof APIError && error.headers) setResponseHeaders(toLimits(error.headers));
    throw toRuntimeError(error);
  }
});
await serving.closed;

// How much the upstream still takes of us. The frontend passes on what --response-headers names.
function toLimits(headers: Headers): Record<string, string> {
  return Object.fromEntries([...headers].filter(([name]) => name.startsWith("x-ratelimit-")));
}

function toDelta({ choices, usage }: OpenAI.ChatCompletionChunk): Delta {
  const [choice] = choices;
  const reason = choice?.finish_reason;
  return {
    text: choice?.delta.content ?? "",
    ...((reason === "stop" || reason === "length" || reason === "content_filter") && { finishReason: reason }),
    ...(usage && { usage: { promptTokens: usage.prompt_tokens, completionTokens: usage.completion_tokens } }),
  };
}

function toMessage({ role, text, name }: Message): OpenAI.ChatCompletionMessageParam {
  const named = { content: text, ...(name !== undefined && { name }) };
  return role === "tool" ? { role: "user", ...named } : { role, ...named }; // an id of a call is not known here
}

function toRuntimeError(error: unknown): unknown {
  if (!(error instanceof APIError) || error instanceof APIUserAbortError) return error;
  if (error instanceof APIConnectionError)
    return new RuntimeError("unavailable", "the upstream cannot be reached", { cause: error });
  const { code, param, headers } = error;
  const seconds = Number(headers?.get("retry-after") ?? undefined); // a date is none
  const said = {
    cause: error,
    ...(code && /^[\w.-]{1,64}$/.test(code) && { apiCode: code }), // an upstream may say anything, an error may not
    ...(param && { param: param.slice(0, 256) }),
    ...(seconds > 0 && { retryAfterMs: Math.min(seconds, 86_400) * 1_000 }),
  };
  if (error.status === 429) return new RuntimeError("rate_limited", error.message, said);
  if (error.status === 400) return new RuntimeError("invalid_argument", error.message, said);
  if (error.status === 503) return new RuntimeError("unavailable", error.message, said);
  if (error.status === 529) return new RuntimeError("overloaded", error.message, said); // as Anthropic and dyn say it
  const answer = error.status === undefined ? "ended its stream with an error" : `answered with ${error.status}`;
  return new RuntimeError("internal", `the upstream ${answer}`, said);
}
