/** The official JavaScript clients. */
import Anthropic from "@anthropic-ai/sdk";
import OpenAI, { type APIError } from "openai";
import { toClasses, toClassName, type Ask, type Failure, type SdkClient } from "./client.ts";

interface RequestOptions {
  readonly maxRetries: number;
  readonly timeout?: number;
  readonly signal?: AbortSignal;
  readonly headers?: Record<string, string>;
}

function toOptions({ tag, maxRetries = 0, timeoutMs, signal }: Ask): RequestOptions {
  return {
    maxRetries,
    ...(timeoutMs !== undefined && { timeout: timeoutMs }),
    ...(signal && { signal }),
    ...(tag !== undefined && { headers: { "x-request-id": tag } }),
  };
}

/** Both libraries name these fields alike. */
export function toSdkFailure(error: unknown): Failure {
  const { status, type, code, param, requestID, message } = error as APIError;
  return {
    name: toClassName(error),
    message,
    status,
    type: type ?? undefined,
    code: code ?? undefined,
    param: param ?? undefined,
    requestId: requestID ?? undefined,
  };
}

/** `openai`, chat completions. */
export function createOpenAiClient(url: string): SdkClient {
  const openai = new OpenAI({ baseURL: `${url}/v1`, apiKey: "unused" });
  const toBody = ({ prompt, model = "mock", system, maxTokens = 1_000, stop }: Ask) => ({
    model,
    messages: [
      ...(system === undefined ? [] : [{ role: "system" as const, content: system }]),
      { role: "user" as const, content: prompt },
    ],
    max_completion_tokens: maxTokens,
    ...(stop && { stop: [...stop] }),
  });
  return {
    name: "openai",
    api: "openai",
    readsClientId: { answers: true, errors: true },
    classes: toClasses("APIError", "InternalServerError"),
    toFailure: toSdkFailure,
    async complete(ask) {
      const { choices, usage, _request_id } = await openai.chat.completions.create(toBody(ask), toOptions(ask));
      const [choice] = choices;
      return {
        text: choice?.message.content ?? "",
        reason: choice?.finish_reason,
        inputTokens: usage?.prompt_tokens,
        outputTokens: usage?.completion_tokens,
        requestId: _request_id,
      };
    },
    async stream(ask, onText) {
      const body = { ...toBody(ask), stream: true as const, stream_options: { include_usage: true } };
      const { data, request_id } = await openai.chat.completions.create(body, toOptions(ask)).withResponse();
      let text = "";
      let reason: string | undefined;
      let usage: OpenAI.CompletionUsage | null | undefined;
      for await (const chunk of data) {
        const piece = chunk.choices[0]?.delta.content ?? "";
        text += piece;
        if (piece !== "") onText?.(piece);
        reason = chunk.choices[0]?.finish_reason ?? reason;
        usage = chunk.usage ?? usage;
      }
      return {
        text,
        reason,
        inputTokens: usage?.prompt_tokens,
        outputTokens: usage?.completion_tokens,
        requestId: request_id,
      };
    },
  };
}

/** `@anthropic-ai/sdk`, messages. */
export function createAnthropicClient(url: string): SdkClient {
  const anthropic = new Anthropic({ baseURL: url, apiKey: "unused" });
  const toBody = ({ prompt, model = "mock", system, maxTokens = 1_000, stop }: Ask) => ({
    model,
    max_tokens: maxTokens,
    messages: [{ role: "user" as const, content: prompt }],
    ...(system !== undefined && { system }),
    ...(stop && { stop_sequences: [...stop] }),
  });
  const toText = (content: readonly Anthropic.ContentBlock[]): string =>
    content.map((block) => (block.type === "text" ? block.text : "")).join("");
  return {
    name: "@anthropic-ai/sdk",
    api: "anthropic",
    readsClientId: { answers: false, errors: false },
    classes: toClasses("ContentTooLargeError", "ServiceUnavailableError"),
    toFailure: toSdkFailure,
    async complete(ask) {
      const { content, stop_reason, usage, _request_id } = await anthropic.messages.create(toBody(ask), toOptions(ask));
      const { input_tokens, output_tokens } = usage;
      return {
        text: toText(content),
        reason: stop_reason,
        inputTokens: input_tokens,
        outputTokens: output_tokens,
        requestId: _request_id,
      };
    },
    async stream(ask, onText) {
      const stream = anthropic.messages.stream(toBody(ask), toOptions(ask));
      if (onText) stream.on("text", onText);
      const { content, stop_reason, usage } = await stream.finalMessage();
      const { input_tokens, output_tokens } = usage;
      return {
        text: toText(content),
        reason: stop_reason,
        inputTokens: input_tokens,
        outputTokens: output_tokens,
        requestId: stream.request_id,
      };
    },
  };
}
