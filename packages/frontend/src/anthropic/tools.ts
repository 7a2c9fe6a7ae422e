/** Tools of a messages request, and what the client wants of them: Anthropic's words for them, and what engines see. */
import type { Tool, ToolChoice } from "@dyn/runtime/llm";
import * as z from "zod";
import { described } from "../inference/described.ts";
import { anyObject, kindOf, listOf } from "../inference/field-kinds.ts";
import { toTool } from "../inference/to-tool.ts";

const name = z.string().min(1).max(256);

/** A tool as clients send it. */
interface Sent {
  readonly name?: string | null | undefined;
  readonly description?: string | null | undefined;
  readonly input_schema?: Tool["parameters"] | null | undefined;
  readonly type?: string | null | undefined;
  readonly strict?: boolean | null | undefined;
}

const tool: z.ZodType<Sent> = z.looseObject({
  name: name.nullish(),
  description: described("What it does, for the engine.", z.string().nullish()),
  input_schema: described("JSON Schema of its arguments, handed to the engine as it is.", anyObject().nullish()),
  type: z.string().nullish(),
  strict: described("True: arguments must be as `input_schema` says.", z.boolean().nullish()),
});

/** Tools that run at the provider: nobody runs them here. */
const atProvider = /^(?:web_search|web_fetch|code_execution|tool_search|mcp)_/;

export const toolsField: z.ZodType<Sent[]> = listOf(tool);

/** What engines see of tools that are as `toolsField` says. */
export function toTools(given: readonly unknown[]): Tool[] {
  return (given as readonly Sent[]).flatMap(({ name: called, description, input_schema: parameters, type, strict }) =>
    called == null || (type != null && atProvider.test(type))
      ? []
      : toTool(called, "function", { description, parameters, strict }),
  );
}

const more = { disable_parallel_tool_use: described("True: at most one call.", z.boolean().nullish()) };

/** How a choice comes, and whether several calls at once are wanted. */
export interface GivenChoice {
  readonly choice?: ToolChoice;
  readonly parallel?: boolean | undefined;
}

function toGiven(choice: ToolChoice, disabled: boolean | null | undefined): GivenChoice {
  return { choice, ...(disabled === true && { parallel: false }) };
}

export const toolChoiceField: z.ZodType<GivenChoice> = kindOf<GivenChoice>(
  {
    auto: z.looseObject(more).transform((given) => toGiven({ mode: "auto" }, given.disable_parallel_tool_use)),
    any: z.looseObject(more).transform((given) => toGiven({ mode: "required" }, given.disable_parallel_tool_use)),
    none: z.looseObject({}).transform(() => toGiven({ mode: "none" }, undefined)),
    tool: z
      .looseObject({ name, ...more })
      .transform((given) => toGiven({ mode: "named", name: given.name }, given.disable_parallel_tool_use)),
  },
  () => ({}),
);
