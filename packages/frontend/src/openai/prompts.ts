/** The prompts of a completion request: texts, or token ids. The first item says which, and one loop looks at the others. */
import type { Prompt } from "@dyn/runtime/llm";
import * as z from "zod";
import { chosenBy, listOf } from "../inference/field-kinds.ts";

/** Of all prompts of a request: a context of a million tokens. A longer one can be sent as text. */
const maxTokenIds = 1_048_576;
const maxTokenId = 0xffff_ffff;

function isText(value: unknown): value is string {
  return typeof value === "string";
}

function isTokenId(value: unknown): boolean {
  return typeof value === "number" && value >>> 0 === value;
}

type Prompts = readonly [Prompt, ...Prompt[]];

const tokenIds = listOf(z.int().min(0).max(maxTokenId), { min: 1, max: maxTokenIds, isItem: isTokenId });
const ofTokenIds = tokenIds.transform((given) => toPrompts([toPrompt(given)]));

/** A field of prompts: at most `max`, and texts of at least `minChars` characters. */
export function promptsField({
  max,
  minChars,
}: {
  readonly max: number;
  readonly minChars: number;
}): z.ZodType<Prompts> {
  const text = z.string().min(minChars);
  const isItem = (value: unknown): boolean => isText(value) && value.length >= minChars;
  const ofText = text.transform((given): Prompts => [{ text: given }]);
  const ofTexts = listOf(text, { min: 1, max, isItem }).transform((given) =>
    toPrompts(given.map((each) => ({ text: each }))),
  );
  const ofManyTokenIds = listOf(tokenIds, { min: 1, max })
    .check(({ value, issues }) => {
      const count = value.reduce((sum, { length }) => sum + length, 0);
      const message = `must have at most ${maxTokenIds} token ids in all, not ${count}`;
      if (count > maxTokenIds)
        issues.push({ code: "too_big", origin: "array", maximum: maxTokenIds, inclusive: true, input: value, message });
    })
    .transform((given) => toPrompts(given.map(toPrompt)));
  const none = z.never({ error: `must be a string, a list of token ids, or a list of 1 to ${max} of either` });
  return chosenBy<Prompts>([ofText, ofTexts, ofTokenIds, ofManyTokenIds], (given) => {
    if (isText(given)) return ofText;
    if (!Array.isArray(given)) return none;
    const first: unknown = given[0];
    if (isText(first)) return ofTexts;
    if (Array.isArray(first)) return ofManyTokenIds;
    return typeof first === "number" || given.length === 0 ? ofTokenIds : none;
  });
}

function toPrompts(given: readonly Prompt[]): Prompts {
  return given as Prompts; // the lists have one item at least
}

function toPrompt(ids: readonly number[]): Prompt {
  return { text: ids.join(" "), tokenIds: ids };
}
