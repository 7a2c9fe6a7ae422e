/** Items of the input of a response, and the conversation that they are. */
import type { Message, ToolCall } from "@dyn/runtime/llm";
import { isMap } from "@dyn/runtime/internal";
import * as z from "zod";
import { described } from "../../inference/described.ts";
import { chosenBy, kindOf, listOf } from "../../inference/field-kinds.ts";
import { FieldError } from "../../inference/fields.ts";
import { toParts, toText, type Content, type Said } from "../../inference/parts.ts";
import { readCompaction } from "./compaction.ts";
import { content } from "./parts.ts";
import type { Keeper, KeptResponse } from "./store.ts";
import { toEngineName, type EngineNames } from "./tools.ts";

/** One of them, as it was read. */
export type Item =
  | { readonly type: "message"; readonly role: Message["role"]; readonly content: Content }
  | { readonly type: "call"; readonly call: ToolCall; readonly namespace: string | undefined }
  | { readonly type: "result"; readonly callId: string; readonly content: Content }
  /** What the assistant thought before what comes next. */
  | { readonly type: "reasoning"; readonly text: string }
  /** An item of a response that is kept. */
  | { readonly type: "reference"; readonly id: string }
  /** Says nothing to an engine. */
  | { readonly type: "other" };

const id = z.string().min(1).max(256);
const other: Item = { type: "other" };

const messageBody = {
  role: z.enum(["user", "assistant", "system", "developer"]),
  content: described(
    "A text, or a list of parts. Parts that the model does not read are skipped in earlier turns; in what the user asks last they are a 400.",
    content,
  ),
};
const toMessage = ({ role, content: said }: z.infer<z.ZodObject<typeof messageBody>>): Item => {
  return { type: "message", role, content: said };
};
const message = z.object(messageBody).transform(toMessage);
const untyped = z.object({ type: z.null().optional(), ...messageBody }).transform(toMessage);

const functionCall = z
  .object({ call_id: id, name: id, arguments: z.string(), namespace: z.string().nullish() })
  .transform(({ call_id, name, arguments: text, namespace }): Item => {
    const call: ToolCall = { id: call_id, name, kind: "function", arguments: text };
    return { type: "call", call, namespace: namespace ?? undefined };
  });
const customCall = z
  .object({ call_id: id, name: id, input: z.string(), namespace: z.string().nullish() })
  .transform(({ call_id, name, input, namespace }): Item => {
    const call: ToolCall = { id: call_id, name, kind: "custom", arguments: input };
    return { type: "call", call, namespace: namespace ?? undefined };
  });
const result = z
  .object({ call_id: id, output: described("A text, or a list of parts.", content) })
  .transform(({ call_id, output }): Item => ({ type: "result", callId: call_id, content: output }));

// Other servers say it in other forms, or encrypted: then it is left out.
const thoughts = z.unknown().transform((given) => (Array.isArray(given) ? given.map(toThought).join("\n\n") : ""));
const reasoning = z
  .object({ summary: thoughts, content: thoughts })
  .partial()
  .transform(({ summary = "", content: raw = "" }): Item => ({ type: "reasoning", text: raw === "" ? summary : raw }));
const compaction = z.object({ encrypted_content: z.string() }).transform(({ encrypted_content: text }): Item => {
  const summary = readCompaction(text);
  return summary === undefined ? other : { type: "message", role: "user", content: summary };
});
const reference = z.object({ id }).transform(({ id: of }): Item => ({ type: "reference", id: of }));

const typed = kindOf<Item>(
  {
    message,
    reasoning,
    compaction,
    item_reference: reference,
    function_call: functionCall,
    custom_tool_call: customCall,
    function_call_output: result,
    custom_tool_call_output: result,
  },
  () => other,
);
const item = chosenBy<Item>([typed, untyped], (given) => (isUntyped(given) ? untyped : typed));
const text = z.string({ error: "must be a string or a list of items" });
const items = listOf(item, { min: 1 });

/** A text is what the user says; an item without a type is a message. Kinds of items that are not known are left out. */
export const inputField: z.ZodType<string | Item[]> = chosenBy<string | Item[]>([text, items], (given) =>
  Array.isArray(given) ? items : text,
);

function toThought(part: unknown): string {
  return isMap(part) && typeof part["text"] === "string" ? part["text"] : "";
}

function isUntyped(given: unknown): boolean {
  return typeof given === "object" && given !== null && (!("type" in given) || given.type === null);
}

/** As items, whichever form it has. */
export function toItems(input: string | readonly Item[]): readonly Item[] {
  return typeof input === "string" ? [{ type: "message", role: "user", content: input }] : input;
}

/** The items, with those that are kept in place of what refers to them; the same list if there are none. @throws FieldError for one that is not kept. */
export function resolve(given: readonly Item[], keeper: Keeper): readonly Item[] {
  if (!given.some(({ type }) => type === "reference")) return given;
  const outputs = new Map<string, readonly KeptItem[]>(); // each is read once, however many items are of it
  return given.map((each, index) => {
    if (each.type !== "reference") return each;
    const [, requestId = "", place = ""] = /^[a-z]+_(.{36})_(\d{1,4})$/.exec(each.id) ?? [];
    const responseId = `resp_${requestId}`;
    const output = outputs.get(responseId) ?? readOutput(keeper.find(responseId));
    outputs.set(responseId, output);
    const found = output[Number(place)];
    if (found?.id !== each.id)
      throw new FieldError(`input[${index}].id`, `: no item ${JSON.stringify(each.id)} is kept here`);
    return typed.parse(found);
  });
}

interface KeptItem {
  readonly id: string;
}

function readOutput(kept: KeptResponse | undefined): readonly KeptItem[] {
  return kept ? (JSON.parse(kept.json) as { output: readonly KeptItem[] }).output : []; // we have made it
}

/** Who says what, item by item. */
export function toSaid(given: Item): Said {
  switch (given.type) {
    case "message":
      return given;
    case "call":
      return { role: "assistant" };
    case "result":
      return { role: "tool", content: given.content };
    case "reasoning":
    case "reference":
    case "other":
      return { role: "" };
  }
}

/** What engines see. Calls belong to what the assistant says before them. @throws FieldError for the result of a call that nobody has made. */
export function toMessages(
  given: readonly Item[],
  engineNames: EngineNames,
  before: readonly Message[] = [],
): readonly Message[] {
  const messages: Message[] = [];
  const called = new Set(before.flatMap(({ toolCalls = [] }) => toolCalls.map((call) => call.id)));
  let thought = "";
  const think = (role: Message["role"]): Pick<Message, "reasoning"> => {
    const reasoning = role === "assistant" ? thought : "";
    thought = "";
    return reasoning === "" ? {} : { reasoning };
  };
  for (const [index, each] of given.entries()) {
    if (each.type === "reasoning") thought += thought === "" || each.text === "" ? each.text : `\n\n${each.text}`;
    if (each.type === "message") messages.push({ ...toSpoken(each.role, each.content), ...think(each.role) });
    if (each.type === "call") {
      const { call, namespace } = each;
      called.add(call.id);
      addCall(messages, { ...call, name: toEngineName(call.name, namespace, engineNames) }, think("assistant"));
    }
    if (each.type === "result") {
      if (!called.has(each.callId))
        throw new FieldError(
          `input[${index}].call_id`,
          `: no call ${JSON.stringify(each.callId)} stands before its output`,
        );
      messages.push({ ...toSpoken("tool", each.content), toolCallId: each.callId });
    }
  }
  return messages;
}

function toSpoken(role: Message["role"], said: Content): Message {
  const parts = toParts(said);
  return { role, text: toText(said), ...(parts && { parts }) };
}

// A list of its own grows, for there may be thousands.
function addCall(messages: Message[], call: ToolCall, thought: Pick<Message, "reasoning">): void {
  const last = messages.at(-1);
  if (last?.role !== "assistant" || thought.reasoning !== undefined)
    messages.push({ role: "assistant", text: "", ...thought, toolCalls: [call] });
  else if (last.toolCalls) (last.toolCalls as ToolCall[]).push(call); // made here
  else messages[messages.length - 1] = { ...last, toolCalls: [call] };
}
