/** LangChain's chat models. */
import { ChatAnthropic } from "@langchain/anthropic";
import type { AIMessage, AIMessageChunk, UsageMetadata } from "@langchain/core/messages";
import { ChatOpenAI } from "@langchain/openai";
import { toClasses, toRequestId, type Answer, type Ask, type OnText, type SdkClient } from "./client.ts";
import { toSdkFailure } from "./official.ts";

type ChatModel = ChatOpenAI | ChatAnthropic;

function toHeaders(tag: string | undefined): Record<string, string> {
  return tag === undefined ? {} : { "x-request-id": tag };
}

function toMessages({ system, prompt }: Ask): ["system" | "human", string][] {
  const asked: ["human", string] = ["human", prompt];
  return system === undefined ? [asked] : [["system", system], asked];
}

function toAnswer(message: AIMessage | AIMessageChunk): Answer {
  const usage = message.usage_metadata as UsageMetadata | undefined; // narrowed to never by the class's type parameters
  const { finish_reason, stop_reason } = { ...message.additional_kwargs, ...message.response_metadata } as Record<
    string,
    string | undefined
  >;
  return {
    text: message.text,
    reason: finish_reason ?? stop_reason,
    inputTokens: usage?.input_tokens,
    outputTokens: usage?.output_tokens,
    requestId: toRequestId(message.id),
  };
}

async function collect(model: ChatModel, ask: Ask, onText?: OnText): Promise<Answer> {
  let whole: AIMessageChunk | undefined;
  for await (const chunk of await model.stream(toMessages(ask), { ...(ask.signal && { signal: ask.signal }) })) {
    whole = whole ? whole.concat(chunk) : chunk;
    if (chunk.text !== "") onText?.(chunk.text);
  }
  if (!whole) throw new Error("the stream ended without a chunk");
  return toAnswer(whole);
}

function createClient(name: string, api: SdkClient["api"], toModel: (ask: Ask) => ChatModel): SdkClient {
  return {
    name,
    api,
    readsClientId: { answers: false, errors: api === "openai" },
    classes: toClasses("APIError", "InternalServerError"),
    toFailure: toSdkFailure,
    complete: async (ask) =>
      toAnswer(await toModel(ask).invoke(toMessages(ask), { ...(ask.signal && { signal: ask.signal }) })),
    stream: (ask, onText) => collect(toModel(ask), ask, onText),
  };
}

export function createLangChainClients(url: string): SdkClient[] {
  const toOpenAi = ({ model = "mock", maxTokens = 1_000, stop, tag, maxRetries = 0, timeoutMs }: Ask): ChatOpenAI =>
    new ChatOpenAI({
      model,
      apiKey: "unused",
      maxTokens,
      maxRetries,
      ...(stop && { stop: [...stop] }),
      ...(timeoutMs !== undefined && { timeout: timeoutMs }),
      configuration: { baseURL: `${url}/v1`, defaultHeaders: toHeaders(tag) },
    });
  const toAnthropic = ({
    model = "mock",
    maxTokens = 1_000,
    stop,
    tag,
    maxRetries = 0,
    timeoutMs,
  }: Ask): ChatAnthropic =>
    new ChatAnthropic({
      model,
      apiKey: "unused",
      anthropicApiUrl: url,
      maxTokens,
      maxRetries,
      ...(stop && { stopSequences: [...stop] }),
      clientOptions: { defaultHeaders: toHeaders(tag), ...(timeoutMs !== undefined && { timeout: timeoutMs }) },
    });
  return [createClient("ChatOpenAI", "openai", toOpenAi), createClient("ChatAnthropic", "anthropic", toAnthropic)];
}
