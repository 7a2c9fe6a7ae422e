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

function toUsage({ promptTokens, completionTokens, cachedTokens = 0 }: Usage): Fields {
  return {
    input_tokens: promptTokens,
    input_tokens_details: { cached_tokens: cachedTokens },
    output_tokens: completionTokens,
    output_tokens_details: { reasoning_tokens: 0 },
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

/** Ids of items contain that of the request, and their place in the output. */
export function toItemId(kind: "message" | ToolCall["kind"], requestId: string, index: number): string {
  const prefix = kind === "message" ? "msg" : kind === "custom" ? "ctc" : "fc";
  return `${prefix}_${requestId}_${index}`;
}

/** The output of a unary answer: what was said, and what was called. The last one may be cut. */
export function toOutput(choice: Choice, requestId: string, namespaces: Namespaces): readonly unknown[] {
  const { text, toolCalls } = choice;
  const { status } = toEnd(choice);
  const last = status === "incomplete" ? "incomplete" : "completed";
  const hasText = text !== "" || toolCalls.length === 0;
  const first = hasText ? 1 : 0;
  const isLast = (index: number): boolean => index === first + toolCalls.length - 1;
  const toStatus = (index: number): Status => (isLast(index) ? last : "completed");
  const said = hasText ? [toMessageItem(toItemId("message", requestId, 0), toStatus(0), text)] : [];
  const called = toolCalls.map((call, at) => {
    const index = first + at;
    return toCallItem(toItemId(call.kind, requestId, index), toStatus(index), call, namespaces);
  });
  return [...said, ...called];
}

/** Keep a response that is over, if it is to be kept. `json` is the response object. */
export function keep(
  { keeper, conversation }: ResponseRequest,
  { requestId }: AnswerHead,
  choice: Choice | undefined,
  json: string,
): void {
  if (!keeper || !choice) return;
  const { text, toolCalls } = choice;
  const said: Message = { role: "assistant", text, ...(toolCalls.length > 0 && { toolCalls }) };
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
