/** The Vercel AI SDK over its three providers that speak our APIs. */
import { createAnthropic } from "@ai-sdk/anthropic";
import { createOpenAI } from "@ai-sdk/openai";
import { createOpenAICompatible } from "@ai-sdk/openai-compatible";
import { APICallError, generateText, RetryError, streamText, type LanguageModel } from "ai";
import { toClassName, type Ask, type Failure, type SdkClient } from "./client.ts";

interface ErrorBody {
  readonly error?: { readonly type?: string; readonly code?: string | null; readonly param?: string | null };
}

// After retries the SDK wraps the last failure; the errors of a stream are bare objects of the API.
function toFailure(thrown: unknown): Failure {
  const error = RetryError.isInstance(thrown) ? thrown.lastError : thrown;
  const isCall = APICallError.isInstance(error);
  const { type, code, param } = isCall
    ? ((error.data as ErrorBody | undefined)?.error ?? {})
    : (error as NonNullable<ErrorBody["error"]>);
  return {
    name: toClassName(error),
    message: (error as Error).message,
    status: isCall ? error.statusCode : undefined,
    type,
    code: code ?? undefined,
    param: param ?? undefined,
    requestId: isCall ? error.responseHeaders?.["x-request-id"] : undefined,
  };
}

function toCall(
  model: LanguageModel,
  { prompt, system, maxTokens = 1_000, stop, tag, maxRetries = 0, timeoutMs, signal }: Ask,
) {
  return {
    model,
    prompt,
    maxRetries,
    maxOutputTokens: maxTokens,
    ...(system !== undefined && { instructions: system }),
    ...(stop && { stopSequences: [...stop] }),
    ...(tag !== undefined && { headers: { "x-request-id": tag } }),
    ...(timeoutMs !== undefined && { timeout: timeoutMs }),
    ...(signal && { abortSignal: signal }),
  };
}

function createClient(name: string, api: SdkClient["api"], toModel: (model: string) => LanguageModel): SdkClient {
  return {
    name,
    api,
    readsClientId: { answers: true, errors: true },
    classes: { 400: "APICallError", 404: "APICallError", 413: "APICallError", 503: "APICallError" },
    toFailure,
    async complete(ask) {
      const { text, rawFinishReason, usage, response } = await generateText(toCall(toModel(ask.model ?? "mock"), ask));
      return {
        text,
        reason: rawFinishReason,
        inputTokens: usage.inputTokens,
        outputTokens: usage.outputTokens,
        requestId: response.headers?.["x-request-id"],
      };
    },
    async stream(ask, onText) {
      const result = streamText({ ...toCall(toModel(ask.model ?? "mock"), ask), onError: () => undefined });
      let text = "";
      // `textStream` would end without a word where the API reports a failure.
      for await (const part of result.fullStream) {
        if (part.type === "error") throw part.error;
        if (part.type === "abort") throw new DOMException("the stream was aborted", "AbortError");
        if (part.type !== "text-delta") continue;
        text += part.text;
        onText?.(part.text);
      }
      const [reason, usage, { headers }] = await Promise.all([result.rawFinishReason, result.usage, result.response]);
      return {
        text,
        reason,
        inputTokens: usage.inputTokens,
        outputTokens: usage.outputTokens,
        requestId: headers?.["x-request-id"],
      };
    },
  };
}

export function createVercelClients(url: string): SdkClient[] {
  const openai = createOpenAI({ baseURL: `${url}/v1`, apiKey: "unused" });
  const compatible = createOpenAICompatible({ baseURL: `${url}/v1`, name: "dyn", includeUsage: true });
  const anthropic = createAnthropic({ baseURL: `${url}/v1`, apiKey: "unused" });
  return [
    createClient("ai, openai.chat", "openai", (model) => openai.chat(model)),
    createClient("ai, openai-compatible", "openai", (model) => compatible(model)),
    createClient("ai, anthropic", "anthropic", (model) => anthropic(model)),
  ];
}
