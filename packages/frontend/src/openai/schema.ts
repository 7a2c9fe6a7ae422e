/** The fields of a chat request that are read; unknown ones are ignored, as the official API does. */
import { RuntimeError } from "@dyn/runtime";
import type { Message, ModelRequest } from "@dyn/runtime/llm";
import * as z from "zod";

const textPart = z.object({ type: z.literal("text"), text: z.string() });
const refusalPart = z.object({ type: z.literal("refusal"), refusal: z.string() });
const content = z.union([z.string(), z.array(z.union([textPart, refusalPart])).min(1)]);

const message = z
  .object({
    role: z.enum(["system", "developer", "user", "assistant", "tool", "function"]),
    content: content.nullish(),
    name: z.string().max(256).optional(),
  })
  .refine(({ role, content: given }) => role === "assistant" || given != null, {
    path: ["content"],
    error: "expected a string or a list of text parts",
  });

const chatRequest = z.object({
  model: z.string().min(1).max(256),
  messages: z.array(message).min(1),
  stream: z.boolean().nullish(),
  stream_options: z.object({ include_usage: z.boolean().nullish() }).nullish(),
  max_tokens: z.int().min(1).nullish(),
  max_completion_tokens: z.int().min(1).nullish(),
  stop: z.union([z.string(), z.array(z.string()).max(4)]).nullish(),
  temperature: z.number().min(0).max(2).nullish(),
  top_p: z.number().min(0).max(1).nullish(),
  seed: z.int().nullish(),
  frequency_penalty: z.number().min(-2).max(2).nullish(),
  presence_penalty: z.number().min(-2).max(2).nullish(),
  tools: z.array(z.unknown()).max(128).nullish(),
  tool_choice: z.unknown().optional(),
  n: z.literal(1, { error: "only 1 is supported" }).nullish(),
  logprobs: z.literal(false, { error: "not supported" }).nullish(),
});

type ChatBody = z.infer<typeof chatRequest>;

export interface ChatRequest {
  readonly stream: boolean;
  readonly includeUsage: boolean;
  readonly request: ModelRequest;
}

/** An `invalid_argument` that names the field. */
export class FieldError extends RuntimeError {
  readonly param: string;

  constructor(param: string, problem: string) {
    super("invalid_argument", `${param}: ${problem}`);
    this.param = param;
  }
}

function toFieldError({ issues }: z.ZodError): FieldError {
  const [issue] = issues;
  const path = (issue?.path ?? []).map((key) => (typeof key === "number" ? `[${key}]` : `.${String(key)}`)).join("");
  return new FieldError(path === "" ? "body" : path.replace(/^\./, ""), issue?.message ?? "invalid");
}

/** @throws FieldError naming the first field that is wrong. */
export function parseChatRequest(body: unknown): ChatRequest {
  const result = chatRequest.safeParse(body);
  if (!result.success) throw toFieldError(result.error);
  const chat = result.data;
  if (chat.stream_options && chat.stream !== true) throw new FieldError("stream_options", "only allowed when stream is true");
  return { stream: chat.stream === true, includeUsage: chat.stream_options?.include_usage === true, request: toModelRequest(chat) };
}

/** The model a body names, for the log, even if the rest of it is wrong. */
export function peekModel(body: unknown): string | undefined {
  const model: unknown = typeof body === "object" && body !== null && "model" in body ? body.model : undefined;
  return typeof model === "string" ? model : undefined;
}

function toText(given: string | readonly ({ text: string } | { refusal: string })[] | null | undefined): string {
  if (given == null) return "";
  if (typeof given === "string") return given;
  return given.map((part) => ("text" in part ? part.text : part.refusal)).join("");
}

function toModelRequest(chat: ChatBody): ModelRequest {
  const maxTokens = chat.max_completion_tokens ?? chat.max_tokens ?? undefined;
  const stop = chat.stop == null ? [] : [chat.stop].flat();
  return {
    model: chat.model,
    messages: chat.messages.map(({ role, content: given, name }): Message => ({
      role: role === "function" ? "tool" : role,
      text: toText(given),
      ...(name !== undefined && { name }),
    })),
    stop,
    ...(maxTokens !== undefined && { maxTokens }),
    sampling: {
      ...(chat.temperature != null && { temperature: chat.temperature }),
      ...(chat.top_p != null && { topP: chat.top_p }),
      ...(chat.seed != null && { seed: chat.seed }),
      ...(chat.frequency_penalty != null && { frequencyPenalty: chat.frequency_penalty }),
      ...(chat.presence_penalty != null && { presencePenalty: chat.presence_penalty }),
    },
    ...(chat.tools != null && { tools: chat.tools }),
    ...(chat.tool_choice != null && { toolChoice: chat.tool_choice }),
  };
}
