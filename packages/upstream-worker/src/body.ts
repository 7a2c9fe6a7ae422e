/** What the upstream is asked: the body of a request, as OpenAI-compatible servers read it. */
import { RuntimeError } from "@dyn/runtime";
import type { MediaPart, Message, MessagePart, ModelRequest, Tool, ToolCall, ToolChoice } from "@dyn/runtime/llm";
import type { UpstreamOptions } from "./options.ts";

export interface Body {
  readonly path: "/chat/completions" | "/completions";
  readonly json: string;
}

// The types of TypeScript's library do not have it yet.
const { rawJSON } = JSON as typeof JSON & { rawJSON(this: void, text: string): unknown };

type Json = Readonly<Record<string, unknown>>;

/** Fields that the client left out are left out. @throws RuntimeError `unimplemented` for likelihoods of the prompt, whose tokens servers mix with those of the completion. */
export function toBody(request: ModelRequest, model: string, maxTokensField: UpstreamOptions["maxTokensField"]): Body {
  const { prompt, messages } = request;
  if (request.logprobs?.prompt === true)
    throw new RuntimeError(
      "unimplemented",
      "logprobs of the prompt (echo) are not asked of the server behind this worker",
    );
  const common = { model, ...toCommon(request), stream: true, stream_options: { include_usage: true } };
  if (prompt) {
    const { maxTokens } = request;
    const body = {
      ...common,
      prompt: prompt.tokenIds ?? prompt.text,
      ...(maxTokens !== undefined && { max_tokens: maxTokens }),
      ...(request.logprobs && { logprobs: request.logprobs.top }),
    };
    return { path: "/completions", json: JSON.stringify(body) };
  }
  const length = request.maxTokens !== undefined && { [maxTokensField]: request.maxTokens };
  const body = {
    ...common,
    messages: messages.map(toMessage),
    ...length,
    ...toToolFields(request),
    ...toForm(request),
    ...toEffort(request),
    ...(request.logprobs && { logprobs: true, top_logprobs: request.logprobs.top }),
  };
  return { path: "/chat/completions", json: JSON.stringify(body) };
}

function toCommon({ stop, minTokens, ignoreEos, sampling }: ModelRequest): Json {
  const { temperature, topP, topK, seed, frequencyPenalty, presencePenalty } = sampling;
  return {
    ...(stop.length > 0 && { stop }),
    ...(minTokens !== undefined && { min_tokens: minTokens }),
    ...(ignoreEos !== undefined && { ignore_eos: ignoreEos }),
    ...(temperature !== undefined && { temperature }),
    ...(topP !== undefined && { top_p: topP }),
    ...(topK !== undefined && { top_k: topK }),
    ...(seed !== undefined && { seed: typeof seed === "bigint" ? rawJSON(seed.toString()) : seed }),
    ...(frequencyPenalty !== undefined && { frequency_penalty: frequencyPenalty }),
    ...(presencePenalty !== undefined && { presence_penalty: presencePenalty }),
  };
}

// Only OpenAI's own models know the role developer; it takes system for the same.
function toMessage({ role, text, name, parts, toolCalls, toolCallId, reasoning }: Message): Json {
  const hasCalls = toolCalls !== undefined && toolCalls.length > 0;
  return {
    role: role === "developer" ? "system" : role,
    content: parts ? parts.map(toPart) : text === "" && hasCalls ? null : text,
    ...(name !== undefined && { name }),
    ...(hasCalls && { tool_calls: toolCalls.map(toCall) }),
    ...(toolCallId !== undefined && { tool_call_id: toolCallId }),
    ...(reasoning !== undefined && { reasoning_content: reasoning }),
  };
}

function toPart(part: MessagePart): Json {
  if (part.kind === "text") return { type: "text", text: part.text };
  if (part.kind === "image")
    return {
      type: "image_url",
      image_url: { url: toUrl(part), ...(part.detail !== undefined && { detail: part.detail }) },
    };
  if (part.kind === "audio") return { type: "input_audio", input_audio: { data: part.data, format: part.mediaType } };
  const { fileId, name, data, url } = part;
  const bytes = data === undefined && url === undefined ? {} : { file_data: toUrl(part) };
  return {
    type: "file",
    file: { ...bytes, ...(fileId !== undefined && { file_id: fileId }), ...(name !== undefined && { filename: name }) },
  };
}

function toUrl({ url, data = "", mediaType }: MediaPart): string {
  return url ?? (mediaType === undefined ? data : `data:${mediaType};base64,${data}`);
}

function toCall({ id, kind, name, arguments: text }: ToolCall): Json {
  return kind === "custom"
    ? { id, type: "custom", custom: { name, input: text } }
    : { id, type: "function", function: { name, arguments: text } };
}

function toToolFields({ tools, toolChoice, parallelToolCalls }: ModelRequest): Json {
  if (!tools || tools.length === 0) return {};
  return {
    tools: tools.filter(({ name }) => toolChoice?.allowed?.includes(name) ?? true).map(toTool),
    ...(toolChoice && { tool_choice: toChoice(toolChoice, tools) }),
    ...(parallelToolCalls !== undefined && { parallel_tool_calls: parallelToolCalls }),
  };
}

function toTool({ kind, name, description, parameters, strict, format }: Tool): Json {
  const head = { name, ...(description !== undefined && { description }) };
  if (kind === "custom") return { type: "custom", custom: { ...head, ...(format !== undefined && { format }) } };
  const rest = { ...(parameters && { parameters }), ...(strict !== undefined && { strict }) };
  return { type: "function", function: { ...head, ...rest } };
}

// Few servers know allowed_tools: the others are not sent.
function toChoice({ mode, name }: ToolChoice, tools: readonly Tool[]): unknown {
  if (mode !== "named" || name === undefined) return mode;
  const kind = tools.find((tool) => tool.name === name)?.kind ?? "function";
  return { type: kind, [kind]: { name } };
}

// A budget has no word that servers have in common.
function toEffort({ reasoning }: ModelRequest): Json {
  if (!reasoning) return {};
  const { isEnabled, effort } = reasoning;
  if (isEnabled === false) return { reasoning_effort: "none" };
  return effort === undefined ? {} : { reasoning_effort: effort };
}

function toForm({ responseFormat }: ModelRequest): Json {
  if (!responseFormat) return {};
  const { schema, name = "answer", strict } = responseFormat;
  if (!schema) return { response_format: { type: "json_object" } };
  return {
    response_format: { type: "json_schema", json_schema: { name, schema, ...(strict !== undefined && { strict }) } },
  };
}
