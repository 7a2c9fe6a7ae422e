/** What is read of a line: the fields that a lineage is made of, each only if it is of its kind. A log may hold anything. */
import { excerpt } from "@dyn/runtime/internal";
import { factTexts, factNumbers } from "../tree.ts";
import { isFact, isReportedName, maxReported } from "./reported.ts";

export type FieldValue = string | number | boolean;

export interface LineFields {
  readonly fields: Readonly<Record<string, FieldValue>>;
  /** Names of fields that are there, but are of another kind. */
  readonly odd: readonly string[];
  /** Characters of all texts. */
  readonly chars: number;
}

type Check = (value: unknown) => value is FieldValue;

/** Longer texts are cut; nothing that dyn writes into these fields is as long. */
const maxTextChars = 4_096;
/** Milliseconds, tokens, bytes: what is larger, or below 0, measures nothing. */
const maxNumber = 1e15;

const isText = (value: unknown): value is string => typeof value === "string";
const isCount = (value: unknown): value is number => typeof value === "number" && value >= 0 && value <= maxNumber;
const isSwitch = (value: unknown): value is boolean => typeof value === "boolean";

const checks: ReadonlyMap<string, Check> = new Map<string, Check>([
  ...[...factTexts, "x_request_id", "time", "level", "target", "event", "message", "span_name", "mismatch"].map(
    (name) => [name, isText] as const,
  ),
  ...["outcome", "request.outcome", "error.type"].map((name) => [name, isText] as const),
  ...[...factNumbers, "request.attempt", "dropped_lines", "count"].map((name) => [name, isCount] as const),
  ["status", (value) => isText(value) || isCount(value)], // how a request ended, or that of HTTP
  ["request.sent", isSwitch],
]);

/** Read the fields of `record`; only its own count. */
export function readFields(record: object): LineFields {
  const fields: Record<string, FieldValue> = {};
  const odd: string[] = [];
  let chars = 0;
  let reportedLeft = maxReported;
  for (const [name, value] of Object.entries(record) as [string, unknown][]) {
    const isKind = checks.get(name) ?? (isReportedName(name) && reportedLeft-- > 0 ? isFact : undefined);
    if (!isKind) continue;
    if (!isKind(value)) odd.push(name);
    else fields[name] = typeof value === "string" ? readText(value) : value;
    if (typeof value === "string") chars += Math.min(value.length, maxTextChars);
  }
  return { fields, odd, chars };
}

/** A text as it is compared with those of lines. */
export function readText(text: string): string {
  if (text.length <= maxTextChars) return excerpt(text);
  const isHalf = /[\ud800-\udbff]/.test(text.charAt(maxTextChars - 1));
  return excerpt(text, isHalf ? maxTextChars - 1 : maxTextChars);
}
