/** Tools of a chat request, and what the client wants of them: OpenAI's words for them, and what engines see. */
import type { Tool, ToolCall, ToolChoice } from "@dyn/runtime/llm";
import { isMap } from "@dyn/runtime/internal";
import * as z from "zod";
import { described } from "../inference/described.ts";
import { anyObject, chosenBy, kindOf, listOf } from "../inference/field-kinds.ts";
import { toTool } from "../inference/to-tool.ts";

const name = z.string().min(1).max(256);
const named = z.looseObject({ name });

type Body<Shape extends z.ZodRawShape> = z.ZodObject<Shape, z.core.$loose>;
type Words = z.ZodOptional<z.ZodNullable<z.ZodString>>;

/** What is said of a function. */
export const functionBody: Body<{
  name: z.ZodString;
  description: Words;
  parameters: z.ZodOptional<z.ZodNullable<ReturnType<typeof anyObject>>>;
  strict: z.ZodOptional<z.ZodNullable<z.ZodBoolean>>;
}> = z.looseObject({
  name,
  description: described("What it does, for the engine.", z.string().nullish()),
  parameters: described("JSON Schema of its arguments, handed to the engine as it is.", anyObject().nullish()),
  strict: described("True: arguments must be as `parameters` says.", z.boolean().nullish()),
});

/** What is said of a custom tool. */
export const customBody: Body<{ name: z.ZodString; description: Words; format: z.ZodOptional<z.ZodUnknown> }> =
  z.looseObject({
    name,
    description: z.string().nullish(),
    format: described("Handed to the engine as it is.", z.unknown().optional()),
  });

const functionTool = z.looseObject({ function: functionBody });
const customTool = z.looseObject({ custom: customBody });

/** Kinds that are not known are left out: what runs at the provider has no one to run it here. */
export const toolsField: z.ZodType<unknown[]> = listOf(
  kindOf<unknown>({ function: functionTool, custom: customTool }, () => undefined),
);

/** What engines see of tools that are as `toolsField` says. */
export function toTools(given: readonly unknown[]): Tool[] {
  return given.flatMap((tool) => {
    if (!isMap(tool)) return [];
    if (tool["type"] === "function") return toFunction(tool["function"] as z.infer<typeof functionBody>); // as the schema says
    return tool["type"] === "custom" ? toCustom(tool["custom"] as z.infer<typeof customBody>) : [];
  });
}

/** What engines see of a function. */
export function toFunction({ name: called, description, parameters, strict }: z.infer<typeof functionBody>): Tool {
  return toTool(called, "function", { description, parameters, strict });
}

/** What engines see of a custom tool. */
export function toCustom({ name: called, description, format }: z.infer<typeof customBody>): Tool {
  return toTool(called, "custom", { description, format });
}

/** A choice that is a word. */
export const choiceWord: z.ZodType<ToolChoice> = z
  .enum(["none", "auto", "required"], {
    error: 'must be "none", "auto", "required", or an object that names a tool',
  })
  .transform((mode): ToolChoice => ({ mode }));
const ofFunction = z.looseObject({ function: named });
const ofCustom = z.looseObject({ custom: named });
const allowedTool = kindOf<string | undefined>(
  {
    function: ofFunction.transform((given) => given.function.name),
    custom: ofCustom.transform((given) => given.custom.name),
  },
  () => undefined,
);
const allowed = z
  .looseObject({ allowed_tools: z.looseObject({ mode: z.enum(["auto", "required"]), tools: listOf(allowedTool) }) })
  .transform(({ allowed_tools: { mode, tools } }): ToolChoice => {
    return { mode, allowed: tools.filter((tool) => tool !== undefined) };
  });
const choice = kindOf<ToolChoice | undefined>(
  {
    function: ofFunction.transform((given): ToolChoice => ({ mode: "named", name: given.function.name })),
    custom: ofCustom.transform((given): ToolChoice => ({ mode: "named", name: given.custom.name })),
    allowed_tools: allowed,
  },
  () => undefined,
);

export const toolChoiceField: z.ZodType<ToolChoice | undefined> = chosenBy<ToolChoice | undefined>(
  [choiceWord, choice],
  (given) => (isMap(given) ? choice : choiceWord),
);

const functionCall = z.looseObject({ id: name, function: z.looseObject({ name, arguments: z.string() }) });
const customCall = z.looseObject({ id: name, custom: z.looseObject({ name, input: z.string() }) });

/** What an assistant has called in an earlier turn. */
export const toolCallsField: z.ZodType<(ToolCall | undefined)[]> = listOf(
  kindOf<ToolCall | undefined>(
    {
      function: functionCall.transform(({ id, function: called }): ToolCall => {
        return { id, name: called.name, kind: "function", arguments: called.arguments };
      }),
      custom: customCall.transform(({ id, custom }): ToolCall => {
        return { id, name: custom.name, kind: "custom", arguments: custom.input };
      }),
    },
    () => undefined,
  ),
);
