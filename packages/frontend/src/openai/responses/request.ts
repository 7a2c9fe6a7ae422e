/** The fields of a request for a response that are read; unknown ones are ignored, as the official API does. */
import type { Message, ResponseFormat } from "@dyn/runtime/llm";
import { isMap, type ModelJob } from "@dyn/runtime/internal";
import * as z from "zod";
import type { InferenceRequest } from "../../inference/api.ts";
import { described, shaped } from "../../inference/described.ts";
import { anyObject, countLimit, kindOf } from "../../inference/field-kinds.ts";
import {
  checkLength,
  FieldError,
  modelName,
  parseFields,
  unsupported,
  type FieldLimits,
} from "../../inference/fields.ts";
import type { FieldNames } from "../../inference/extra.ts";
import { findMedia, type GivenMedia } from "../../inference/media.ts";
import { skipParts } from "../../inference/parts.ts";
import { checkToolChoice } from "../../inference/tool-choice.ts";
import { otherResponseFields } from "../other-fields.ts";
import { effortField, toReasoning } from "../reasoning.ts";
import { namedSchema, schema, toFormat } from "../response-format.ts";
import { samplingFields, toSampling } from "../sampling.ts";
import { inputField, resolve, toItems, toMessages, toSaid, type Item } from "./items.ts";
import { sizeOf, type Keeper } from "./store.ts";
import { readTools, toolChoiceField, toolsField, toShownTools, type Namespaces } from "./tools.ts";

const format = kindOf<unknown>(
  { text: z.looseObject({}), json_object: z.looseObject({ schema }), json_schema: namedSchema },
  () => undefined,
);

const maxMetadata = 16;
const metadata = shaped(
  anyObject().check(({ value, issues }) => {
    const count = Object.keys(value).length;
    const isGood =
      count <= maxMetadata && Object.values(value).every((each) => typeof each === "string" && each.length <= 512);
    if (!isGood)
      issues.push({
        code: "custom",
        message: "must have at most 16 members, each a string of at most 512 characters",
        input: value,
      });
  }),
  () => ({ type: "object", maxProperties: maxMetadata, additionalProperties: { type: "string", maxLength: 512 } }),
);

const repeated = "Repeated in the response.";

const responseRequest = z.object({
  model: modelName,
  input: described(
    "What the user says, or the conversation so far as a list of items, the oldest first. The output of a call comes after the call.",
    inputField,
  ),
  instructions: described("A system message before all others.", z.string().nullish()),
  stream: described("True: the answer is a stream of events.", z.boolean().nullish()),
  max_output_tokens: described("Most tokens of the answer. Unless given, the engine decides.", countLimit().nullish()),
  ...samplingFields,
  tools: described("Tools that the engine may call. Kinds that are not known are left out.", toolsField.nullish()),
  tool_choice: described(
    "Whether and what the engine calls: `auto` unless given. A tool that it names must be in `tools`.",
    toolChoiceField.nullish(),
  ),
  parallel_tool_calls: described("False: at most one call.", z.boolean().nullish()),
  text: described(
    "`format` is the form that the text must have; `text` unless given.",
    z.looseObject({ format: format.nullish() }).nullish(),
  ),
  reasoning: described(
    "`effort` is how much the model thinks, if its engine can. The rest is repeated in the response.",
    z.looseObject({ effort: effortField.nullish() }).nullish(),
  ),
  metadata: described(repeated, metadata.nullish()),
  max_tool_calls: described(repeated, countLimit().nullish()),
  prompt_cache_key: described(repeated, z.string().nullish()),
  safety_identifier: described(repeated, z.string().nullish()),
  user: described(repeated, z.string().nullish()),
  top_logprobs: described("Not supported.", z.literal(0, unsupported).nullish()),
  background: described("Not supported: true is a 400.", z.literal(false, unsupported).nullish()),
  conversation: described("Not supported.", z.null(unsupported).optional()),
  prompt: described("Not supported.", z.null(unsupported).optional()),
  store: described("False: the response is not kept.", z.boolean().nullish()),
  previous_response_id: described(
    "A response that is kept here: its conversation comes before `input`, without its `instructions`.",
    z.string().nullish(),
  ),
});

/** For the document of the API. */
export const responseRequestSchema: z.ZodType = responseRequest;

export const responseFields: FieldNames = {
  read: new Set(Object.keys(responseRequest.shape)),
  others: otherResponseFields,
  elsewhere: new Map([
    ["messages", "input"],
    ["response_format", "text.format"],
    ["reasoning_effort", "reasoning.effort"],
    ["max_tokens", "max_output_tokens"],
    ["max_completion_tokens", "max_output_tokens"],
  ]),
};

type Body = z.infer<typeof responseRequest>;

export interface ResponseRequest extends InferenceRequest {
  readonly namespaces: Namespaces;
  /** What the response says of its request. */
  readonly shown: Readonly<Record<string, unknown>>;
  /** What the user has been asked before, and this time. */
  readonly conversation: readonly Message[];
  /** Where the response is kept; undefined = it is not. */
  readonly keeper: Keeper | undefined;
}

/** `keeper` has what is kept for the caller. @throws FieldError naming the first field that is wrong. */
export function parseResponseRequest(given: unknown, { maxMessages }: FieldLimits, keeper: Keeper): ResponseRequest {
  const body = parseFields(responseRequest, given);
  const input = toItems(body.input);
  const before = findPrevious(body.previous_response_id, keeper);
  checkTurns(input, before, maxMessages);
  const items = resolve(input, keeper);
  const { tools, namespaces, engineNames } = readTools(body.tools ?? []);
  checkToolChoice(body.tool_choice ?? undefined, tools);
  const messages = [...before, ...toMessages(items, engineNames, before)];
  if (messages.length === 0 && body.instructions == null)
    throw new FieldError("input", "must have a message; items of kinds that are not known are left out");
  const said = items.map(toSaid);
  const isKept = keeper.isOn && body.store !== false;
  return {
    stream: body.stream === true,
    namespaces,
    shown: { ...toShown(body, isMap(given) ? given["tool_choice"] : undefined), store: isKept },
    conversation: messages,
    keeper: isKept ? keeper : undefined,
    skipped: skipParts(said, "input"),
    media: [...toSeen(before), ...findMedia(said, "input")],
    ...((before.length > 0 || items !== input) && { keptBytes: sizeOf(messages) }),
    formatParam: "text.format",
    job: {
      model: body.model,
      messages: body.instructions == null ? messages : [{ role: "system", text: body.instructions }, ...messages],
      stop: [],
      sampling: toSampling(body),
      ...(tools.length > 0 && { tools }),
      ...toOptions(body),
    },
  };
}

function toOptions(body: Body): Partial<ModelJob> {
  const responseFormat = toResponseFormat(body.text);
  return {
    ...(body.max_output_tokens != null && { maxTokens: body.max_output_tokens }),
    ...(body.tool_choice != null && { toolChoice: body.tool_choice }),
    ...(body.parallel_tool_calls != null && { parallelToolCalls: body.parallel_tool_calls }),
    ...(responseFormat && { responseFormat }),
    ...(body.reasoning?.effort != null && { reasoning: toReasoning(body.reasoning.effort) }),
  };
}

function checkTurns(items: readonly Item[], before: readonly Message[], most: number): void {
  if (before.length === 0) checkLength("input", items, most);
  else if (items.length + before.length > most)
    throw new FieldError(
      "input",
      `must have at most ${most} items together with the ${before.length} messages of previous_response_id, it has ${items.length}`,
      "array_above_max_length",
    );
}

function findPrevious(id: string | null | undefined, keeper: Keeper): readonly Message[] {
  if (id == null) return [];
  const kept = keeper.find(id);
  if (kept) return kept.messages;
  const shown = JSON.stringify(id.slice(0, 256));
  throw new FieldError(
    "previous_response_id",
    `: no response ${shown} is kept here, send its conversation in input`,
    "previous_response_not_found",
  );
}

// Media of earlier turns can be left out.
function toSeen(messages: readonly Message[]): readonly GivenMedia[] {
  return messages.flatMap(({ parts = [] }) =>
    parts.flatMap(({ kind }) => (kind === "text" ? [] : [{ kind, type: kind, param: "input", isAsked: false }])),
  );
}

/** What engines see of a `text` that is as its schema says. */
export function toResponseFormat(given: unknown): ResponseFormat | undefined {
  const form = isMap(given) ? given["format"] : undefined;
  if (!isMap(form)) return undefined;
  if (form["type"] === "json_object") return toFormat({ schema: form["schema"] });
  return form["type"] === "json_schema" ? toFormat(form) : undefined;
}

const nullables = [
  "previous_response_id",
  "instructions",
  "max_output_tokens",
  "max_tool_calls",
  "safety_identifier",
  "prompt_cache_key",
  "user",
] as const;

function toShown(body: Body, choice: unknown): Readonly<Record<string, unknown>> {
  return {
    ...Object.fromEntries(nullables.map((name) => [name, body[name] ?? null])),
    tools: toShownTools(body.tools ?? []),
    tool_choice: choice ?? "auto",
    truncation: "disabled",
    parallel_tool_calls: body.parallel_tool_calls ?? true,
    text: { ...body.text, format: body.text?.format ?? { type: "text" } },
    top_p: body.top_p ?? 1,
    presence_penalty: body.presence_penalty ?? 0,
    frequency_penalty: body.frequency_penalty ?? 0,
    top_logprobs: 0,
    temperature: body.temperature ?? 1,
    reasoning: { effort: null, summary: null, ...body.reasoning },
    background: false,
    service_tier: "default",
    metadata: body.metadata ?? {},
  };
}
