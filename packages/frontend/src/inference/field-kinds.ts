/** Kinds of fields that zod has not, or reads too slowly. */
import { isMap } from "@dyn/runtime/internal";
import * as z from "zod";
import { shaped, type JsonSchema } from "./described.ts";
import { words } from "./fields.ts";

const minInt64 = -(2n ** 63n);
const maxInt64 = 2n ** 63n - 1n;

/** A whole number of 64 bits. One that a number does not hold exactly is a bigint. */
export const int64: z.ZodType<number | bigint> = shaped(
  z.unknown().transform(toBigInt).pipe(z.bigint().min(minInt64).max(maxInt64)).transform(toExactNumber),
  () => ({ type: "integer", format: "int64" }),
);

/** A limit on something that is counted, from 0. Beyond what can be counted it is no limit, but no error either. */
export function countLimit(): z.ZodType<number> {
  const given = z.unknown().transform(toBigInt).pipe(z.bigint().min(0n));
  return shaped(
    given.transform((limit) => Math.min(Number(limit), Number.MAX_SAFE_INTEGER)),
    () => ({ type: "integer", minimum: 0 }),
  );
}

function toBigInt(value: unknown): unknown {
  return typeof value === "number" && Number.isInteger(value) ? BigInt(value) : value;
}

function toExactNumber(value: bigint): number | bigint {
  const number = Number(value);
  return Number.isSafeInteger(number) ? number : value;
}

/** Items looked at before it is asked whether one was wrong. */
const sliceItems = 256;

interface ListOptions {
  /** Fewest and most items. Default: any number. */
  readonly min?: number;
  readonly max?: number;
  /** Tells good items without the schema, which takes a hundred times as long: for lists that may have millions. */
  readonly isItem?: (value: unknown) => boolean;
}

/** A list of items. Looks no further than the first wrong ones: to describe millions of them takes all memory there is. */
export function listOf<Schema extends z.ZodType>(
  item: Schema,
  options: ListOptions = {},
): z.ZodType<z.infer<Schema>[]> {
  const { min = 0, max = Number.POSITIVE_INFINITY, isItem } = options;
  const slice = z.array(item);
  const readItems = (items: readonly unknown[], context: z.RefinementCtx): z.infer<Schema>[] => {
    const taken: z.infer<Schema>[] = [];
    for (let at = 0; at < items.length; at += sliceItems) {
      const { data, error } = slice.safeParse(items.slice(at, at + sliceItems), words);
      const [issue] = error?.issues ?? [];
      if (issue) {
        const [index = 0, ...rest] = issue.path;
        return raise({ ...issue, path: [at + Number(index), ...rest] }, items, context);
      }
      taken.push(...(data ?? []));
    }
    return taken;
  };
  // No z.array of anything: it makes objects for each of its items.
  const list = z.unknown().transform((given, context) => {
    const issue = toListIssue(given, min, max);
    if (issue) context.issues.push(issue);
    if (issue || !Array.isArray(given)) return z.NEVER;
    return isItem && given.every(isItem) ? (given as z.infer<Schema>[]) : readItems(given, context);
  });
  return shaped(list, (toJsonSchema) => ({
    type: "array",
    items: toJsonSchema(item),
    ...(min > 0 && { minItems: min }),
    ...(Number.isFinite(max) && { maxItems: max }),
  }));
}

function toListIssue(input: unknown, min: number, max: number): z.core.$ZodRawIssue | undefined {
  if (!Array.isArray(input)) return { code: "invalid_type", expected: "array", input };
  const bounds = { origin: "array", inclusive: true, input } as const;
  if (input.length < min) return { code: "too_small", minimum: min, ...bounds };
  return input.length > max ? { code: "too_big", maximum: max, ...bounds } : undefined;
}

/** An object of anything: a schema of zod would look at each of its members. */
export function anyObject(): z.ZodType<Readonly<Record<string, unknown>>> {
  const object = z.custom<Readonly<Record<string, unknown>>>(isMap, { error: "must be an object" });
  return shaped(object, () => ({ type: "object" }));
}

/** A value of one of several kinds, read by the schema of its kind; `kinds` are all of them, for the document of the API.
 *  A union would try one after the other, and describe what is wrong with each. */
export function chosenBy<Read>(
  kinds: readonly z.ZodType<Read>[],
  choose: (given: unknown) => z.ZodType<Read>,
): z.ZodType<Read> {
  return shaped(chosen(choose), (toJsonSchema) => ({ anyOf: kinds.map(toJsonSchema) }));
}

function chosen<Read>(choose: (given: unknown) => z.ZodType<Read>): z.ZodType<Read> {
  return z.unknown().transform((given, context) => {
    const { data, error } = choose(given).safeParse(given, words);
    const [issue] = error?.issues ?? [];
    return issue ? raise(issue, given, context) : (data as Read); // without an issue there is a value
  });
}

/** An object of one of several kinds, as its `type` says: read by the schema of its kind, or made of the type alone if that is none of them. */
export function kindOf<Read>(
  known: Readonly<Record<string, z.ZodType<Read>>>,
  other: (type: string) => Read,
): z.ZodType<Read> {
  const unknownKind = z.object({ type: z.string() }).transform(({ type }) => other(type));
  const kind = chosen((given) => {
    const type = typeof given === "object" && given !== null && "type" in given ? given.type : undefined;
    return (typeof type === "string" && Object.hasOwn(known, type) && known[type]) || unknownKind;
  });
  return shaped(kind, (toJsonSchema) => ({
    anyOf: [
      ...Object.entries(known).map(([type, schema]) => ofType({ const: type }, toJsonSchema(schema))),
      ofType({ type: "string", not: { enum: Object.keys(known) } }, { type: "object", additionalProperties: {} }),
    ],
  }));
}

function ofType(type: JsonSchema, { properties, required = [], ...rest }: JsonSchema): JsonSchema {
  return { ...rest, properties: { type, ...properties }, required: ["type", ...required] };
}

// An issue as it was raised, by a schema inside a transformation.
function raise(issue: z.core.$ZodIssue, input: unknown, { issues }: z.RefinementCtx): never {
  issues.push({ ...issue, input } as z.core.$ZodRawIssue);
  return z.NEVER;
}
