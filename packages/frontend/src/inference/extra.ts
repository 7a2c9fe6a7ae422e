/** Fields of a body that its API does not read: handed to the engine under their own names, or refused. */
import { excerpt, maxParamChars, suggest } from "@dyn/runtime/internal";
import { FieldError } from "./fields.ts";

/** Names of the fields of an API. */
export interface FieldNames {
  /** Those that are read. */
  readonly read: ReadonlySet<string>;
  /** Those of the official API that mean nothing here. They are no slips of the pen. */
  readonly others: readonly string[];
  /** Names that another API has for what this one calls otherwise. */
  readonly elsewhere?: ReadonlyMap<string, string>;
}

/** What becomes of fields that an API does not know: `pass` hands them to the engine. */
export type UnknownFields = "pass" | "refuse";

/** Of one body. */
const maxFields = 64;
/** Of their JSON together. */
const maxBytes = 1_048_576;

/** Names of the fields that are not read. @throws FieldError naming one that is to be refused, and for many of them. */
export function findExtra(body: unknown, names: FieldNames | undefined, unknown: UnknownFields): readonly string[] {
  if (!names || typeof body !== "object" || body === null || Array.isArray(body)) return none;
  let found: string[] | undefined;
  for (const name of Object.keys(body)) if (!names.read.has(name)) (found ??= []).push(name);
  if (!found) return none;
  if (unknown === "refuse") for (const name of found) if (!names.others.includes(name)) throw toUnknown(name, names);
  if (found.length <= maxFields) return found;
  throw new FieldError(
    show(found[maxFields]),
    `is the ${maxFields + 1}th field that is not known, at most ${maxFields} are handed to the engine`,
  );
}

const none: readonly string[] = [];

function show(name = ""): string {
  return excerpt(name, maxParamChars);
}

function toUnknown(name: string, { read, others, elsewhere }: FieldNames): FieldError {
  const here = elsewhere?.get(name);
  const meant = here === undefined ? suggest(name, [...read, ...others]) : [here];
  const hint = meant.length > 0 ? `; did you mean ${meant.join(" or ")}?` : "";
  return new FieldError(show(name), `is not known${hint}`, "unknown_parameter");
}

/** One JSON object of the fields of these names, each as it came. @throws FieldError naming the largest if they are too large. */
export function toExtraJson(names: readonly string[], sources: ReadonlyMap<string, string>): string {
  const members = names.map((name) => ({ name, json: `${JSON.stringify(name)}:${sources.get(name) ?? "null"}` }));
  const text = `{${members.map(({ json }) => json).join(",")}}`;
  if (Buffer.byteLength(text) <= maxBytes) return text;
  const largest = members.reduce((one, other) => (other.json.length > one.json.length ? other : one));
  throw new FieldError(
    show(largest.name),
    `is too large: fields that are not known are handed to the engine, up to ${maxBytes} bytes together`,
  );
}
