/** What a schema is here: Standard Schema 1, which zod, valibot, arktype and others speak. */

/** A schema of any library that speaks Standard Schema 1 (https://standardschema.dev). */
export interface StandardSchema<Input = unknown, Output = Input> {
  readonly "~standard": {
    readonly version: 1;
    readonly vendor: string;
    /** The value as the schema makes it, or what is wrong with it. */
    readonly validate: (value: unknown) => SchemaResult<Output> | Promise<SchemaResult<Output>>;
    /** For the compiler alone. */
    readonly types?: { readonly input: Input; readonly output: Output } | undefined;
  };
}

/** What a schema says of a value. */
export type SchemaResult<Output> =
  | { readonly value: Output; readonly issues?: undefined }
  | { readonly issues: readonly SchemaIssue[] };

/** One thing that is wrong with a value. */
export interface SchemaIssue {
  readonly message: string;
  /** Where, from the outside in. Left out for the value itself. */
  readonly path?: readonly (PropertyKey | { readonly key: PropertyKey })[] | undefined;
}

/** What may be given to a schema. */
export type InputOf<Schema extends StandardSchema> = NonNullable<Schema["~standard"]["types"]>["input"];

/** What a schema makes of it. */
export type OutputOf<Schema extends StandardSchema> = NonNullable<Schema["~standard"]["types"]>["output"];

/** True for what speaks Standard Schema 1. */
export function isStandardSchema(value: unknown): value is StandardSchema {
  if ((typeof value !== "object" && typeof value !== "function") || value === null) return false;
  if (!("~standard" in value)) return false;
  const standard: unknown = value["~standard"];
  if (typeof standard !== "object" || standard === null || !("version" in standard)) return false;
  return standard.version === 1 && "validate" in standard && typeof standard.validate === "function";
}

const identifier = /^[\p{ID_Start}$_][\p{ID_Continue}$]*$/u;

/** The place of an issue, such as `items[2].name`; empty for the value itself. */
export function formatIssuePath(path: SchemaIssue["path"] = []): string {
  return path
    .map((part) => (typeof part === "object" ? part.key : part))
    .map((key, index) => {
      if (typeof key === "number") return `[${key}]`;
      const name = String(key);
      if (!identifier.test(name)) return `[${JSON.stringify(name)}]`;
      return index === 0 ? name : `.${name}`;
    })
    .join("");
}
