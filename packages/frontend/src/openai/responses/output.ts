/** The response object, and the items of its output. */
import type { FinishReason, Message, ToolCall, Usage } from "@dyn/runtime/llm";
import type { AnswerHead } from "../../inference/api.ts";
import type { Choice, GenerateResult } from "../../inference/transcript.ts";
import type { ResponseRequest } from "./request.ts";
import type { Namespaces } from "./tools.ts";

export type Status = "in_progress" | "completed" | "incomplete";

/** What is there of a response when it is over, however it ended. */
export interface Ending {
  readonly status: "completed" | "incomplete" | "failed" | "in_progress";
  readonly output: readonly unknown[];
  /** Unix time, s. */
  readonly completedAt?: number;
  readonly reason?: string;
  readonly error?: unknown;
  readonly usage?: Usage;
}

type Fields = Readonly<Record<string, unknown>>;

/** The fields that are known from the beginning. */
export function toFixed({ job, shown }: ResponseRequest, { requestId, created }: AnswerHead): Fields {
  return { id: `resp_${requestId}`, object: "response", created_at: created, model: job.model, ...shown };
}

/** All others. */
export function toVarying({ status, output, completedAt, reason, error, usage }: Ending): Fields {
  return {
    status,
    completed_at: completedAt ?? null,
    incomplete_details: reason === undefined ? null : { reason },
    error: error ?? null,
    output,
    usage: usage ? toUsage(usage) : null,
  };
}

/** Its counts. */
export function toUsage({ promptTokens, completionTokens, cachedTokens = 0, reasoningTokens = 0 }: Usage): Fields {
  return {
    input_tokens: promptTokens,
    input_tokens_details: { cached_tokens: cachedTokens },
    output_tokens: completionTokens,
    output_tokens_details: { reasoning_tokens: reasoningTokens },
    total_tokens: promptTokens + completionTokens,
  };
}

const incompleteReasons: Readonly<Partial<Record<FinishReason, string>>> = {
  length: "max_output_tokens",
  content_filter: "content_filter",
};

/** How an answer has ended that a worker has finished. */
export function toEnd(choice: Choice | undefined): Pick<Ending, "status" | "reason"> {
  const reason = choice && incompleteReasons[choice.finishReason];
  return reason === undefined ? { status: "completed" } : { status: "incomplete", reason };
}

/** A text as a part of a message. */
export function toTextPart(text: string): Fields {
  return { type: "output_text", text, annotations: [], logprobs: [] };
}

/** What the model has thought, as a part. */
export function toSummaryPart(text: string): Fields {
  return { type: "summary_text", text };
}

/** What the model thinks. One that has just begun has no part. */
export function toReasoningItem(id: string, text: string | undefined): Fields {
  return { id, type: "reasoning", summary: text === undefined ? [] : [toSummaryPart(text)] };
}

/** What the model says. A message that has just begun has no part. */
export function toMessageItem(id: string, status: Status, text: string | undefined): Fields {
  return { id, type: "message", status, role: "assistant", content: text === undefined ? [] : [toTextPart(text)] };
}

/** The name that a client has for a tool, and its namespace. */
export function toCalled(name: string, namespaces: Namespaces): { readonly name: string; readonly namespace?: string } {
  return namespaces.get(name) ?? { name };
}

/** A call that the model makes. */
export function toCallItem(
  id: string,
  status: Status,
  { id: callId, name, kind, arguments: text }: ToolCall,
  namespaces: Namespaces,
): Fields {
  const { name: called, namespace } = toCalled(name, namespaces);
  return {
    id,
    type: kind === "custom" ? "custom_tool_call" : "function_call",
    status,
    call_id: callId,
    name: called,
    ...(kind === "custom" ? { input: text } : { arguments: text }),
    ...(namespace !== undefined && { namespace }),
  };
}

const prefixes = { message: "msg", reasoning: "rs", function: "fc", custom: "ctc" } as const;

/** Ids of items contain that of the request, and their place in the output. */
export function toItemId(kind: keyof typeof prefixes, requestId: string, index: number): string {
  return `${prefixes[kind]}_${requestId}_${index}`;
}

/** The output of a unary answer: what was thought, said and called. The last one may be cut. */
export function toOutput(choice: Choice, requestId: string, namespaces: Namespaces): readonly unknown[] {
  const { text, reasoning, toolCalls } = choice;
  const last = toEnd(choice).status === "incomplete" ? "incomplete" : "completed";
  const items: unknown[] = [];
  const idOf = (kind: keyof typeof prefixes): string => toItemId(kind, requestId, items.length);
  if (reasoning !== "") items.push(toReasoningItem(idOf("reasoning"), reasoning));
  const isSaid = text !== "" || (toolCalls.length === 0 && reasoning === "");
  if (isSaid) items.push(toMessageItem(idOf("message"), toolCalls.length > 0 ? "completed" : last, text));
  for (const [at, call] of toolCalls.entries())
    items.push(toCallItem(idOf(call.kind), at < toolCalls.length - 1 ? "completed" : last, call, namespaces));
  return items;
}

/** Keep a response that is over, if it is to be kept. `json` is the response object. */
export function keep(
  { keeper, conversation }: ResponseRequest,
  { requestId }: AnswerHead,
  choice: Choice | undefined,
  json: string,
): void {
  if (!keeper || !choice) return;
  const { text, reasoning, toolCalls } = choice;
  const thought = reasoning === "" ? {} : { reasoning };
  const said: Message = { role: "assistant", text, ...thought, ...(toolCalls.length > 0 && { toolCalls }) };
  keeper.keep(`resp_${requestId}`, { json, messages: [...conversation, said] });
}

/** The body of a unary answer. */
export function toResponse(
  request: ResponseRequest,
  head: AnswerHead,
  { choices: [choice], usage }: GenerateResult,
): unknown {
  const end = toEnd(choice);
  const output = choice ? toOutput(choice, head.requestId, request.namespaces) : [];
  const completedAt = end.status === "completed" ? { completedAt: head.now() } : {};
  const response = { ...toFixed(request, head), ...toVarying({ ...end, ...completedAt, output, usage }) };
  if (request.keeper) keep(request, head, choice, JSON.stringify(response));
  return response;
}
