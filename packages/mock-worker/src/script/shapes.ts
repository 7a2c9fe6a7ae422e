/** Shapes of values that somebody wrote: each checks one, and says in JSON Schema what it takes. */
import { RuntimeError } from "@dyn/runtime";
import { describeValue, suggest } from "@dyn/runtime/internal";

export interface Shape {
  /** JSON Schema of it. */
  readonly schema: Readonly<Record<string, unknown>>;
  /** What it takes, in the words of an error. */
  readonly expected: string;
  /** @throws RuntimeError `invalid_argument` naming `path` and the value. */
  check(value: unknown, path: string): void;
}

function refuse(path: string, expected: string, value: unknown): never {
  throw new RuntimeError(
    "invalid_argument",
    `${path === "" ? "a script" : path} must be ${expected}, got ${describeValue(value)}`,
  );
}

function leaf(schema: Shape["schema"], expected: string, accepts: (value: unknown) => boolean): Shape {
  return {
    schema,
    expected,
    check(value, path) {
      if (!accepts(value)) refuse(path, expected, value);
    },
  };
}

export const anything: Shape = leaf({}, "anything", () => true);
export const flag: Shape = leaf({ type: "boolean" }, "true or false", (value) => typeof value === "boolean");

export function text(max: number, min = 0): Shape {
  const expected = min > 0 ? `a text of ${min} to ${max} characters` : `a text of at most ${max} characters`;
  const accepts = (value: unknown): boolean => typeof value === "string" && value.length >= min && value.length <= max;
  return leaf({ type: "string", ...(min > 0 && { minLength: min }), maxLength: max }, expected, accepts);
}

export function number(minimum: number, maximum: number): Shape {
  const accepts = (value: unknown): boolean => typeof value === "number" && value >= minimum && value <= maximum;
  return leaf({ type: "number", minimum, maximum }, `a number from ${minimum} to ${maximum}`, accepts);
}

export function whole(minimum: number, maximum: number): Shape {
  const accepts = (value: unknown): boolean =>
    typeof value === "number" && Number.isInteger(value) && value >= minimum && value <= maximum;
  return leaf({ type: "integer", minimum, maximum }, `a whole number from ${minimum} to ${maximum}`, accepts);
}

export function oneOf(...words: readonly (string | number | null)[]): Shape {
  const list = words.map((word) => JSON.stringify(word)).join(", ");
  return leaf({ enum: words }, `one of ${list}`, (value) => words.some((word) => word === value));
}

/** A text for which `parse` does not throw; its error says what was expected. */
export function parsed(max: number, parse: (value: string) => unknown): Shape {
  const shape = text(max);
  return {
    ...shape,
    check(value, path) {
      shape.check(value, path);
      try {
        parse(String(value));
      } catch (cause) {
        const reason = cause instanceof Error ? cause.message : String(cause);
        throw new RuntimeError("invalid_argument", `${path} ${describeValue(value)}: ${reason}`, { cause });
      }
    },
  };
}

export function list(of: Shape, max: number): Shape {
  const expected = `a list of at most ${max}`;
  return {
    schema: { type: "array", items: of.schema, maxItems: max },
    expected,
    check(value, path) {
      if (!Array.isArray(value) || value.length > max) refuse(path, expected, value);
      for (const [index, each] of value.entries()) of.check(each, `${path}[${index}]`);
    },
  };
}

/** An object with any names. */
export function table(of: Shape, max: number): Shape {
  const expected = `an object with at most ${max} names`;
  return {
    schema: { type: "object", additionalProperties: of.schema, maxProperties: max },
    expected,
    check(value, path) {
      if (!isObject(value) || Object.keys(value).length > max) refuse(path, expected, value);
      for (const [name, each] of Object.entries(value)) of.check(each, `${path}[${JSON.stringify(name)}]`);
    },
  };
}

interface ObjectOptions {
  readonly required?: readonly string[];
  /** Names that other programs know, and that mean nothing here. */
  readonly ignored?: readonly string[];
  /** Fields that mean nothing without another one, and that one. */
  readonly needs?: Readonly<Record<string, string>>;
}

/** A shape for each field of a type. */
export type Fields<Type> = { readonly [Name in keyof Type]-?: Shape };

/** An object of these fields and no others: a slip of the pen must not change what a test tests. */
export function object(
  fields: Readonly<Record<string, Shape>>,
  { required = [], ignored = [], needs = {} }: ObjectOptions = {},
): Shape {
  const shapes: Readonly<Record<string, Shape>> = {
    ...fields,
    ...Object.fromEntries(ignored.map((name) => [name, anything])),
  };
  const properties = Object.fromEntries(Object.entries(shapes).map(([name, { schema }]) => [name, schema]));
  const expected = `an object with ${Object.keys(fields).join(", ")}`;
  return {
    schema: {
      type: "object",
      properties,
      additionalProperties: false,
      ...(required.length > 0 && { required }),
      ...(Object.keys(needs).length > 0 && { dependentRequired: toDependent(needs) }),
    },
    expected,
    check(value, path) {
      if (!isObject(value)) refuse(path, expected, value);
      for (const name of required)
        if (value[name] === undefined)
          refuse(path === "" ? name : `${path}.${name}`, shapes[name]?.expected ?? "", undefined);
      for (const [name, each] of Object.entries(value)) {
        const at = path === "" ? name : `${path}.${name}`;
        if (!Object.hasOwn(shapes, name)) throw toUnknown(at, name, Object.keys(shapes));
        if (each !== undefined) shapes[name]?.check(each, at);
      }
      for (const [name, other] of Object.entries(needs))
        if (value[name] !== undefined && value[other] === undefined)
          throw new RuntimeError("invalid_argument", `${path}.${name} means nothing without ${path}.${other}`);
    },
  };
}

function toDependent(needs: Readonly<Record<string, string>>): Record<string, readonly string[]> {
  return Object.fromEntries(Object.entries(needs).map(([name, other]) => [name, [other]]));
}

function toUnknown(path: string, name: string, known: readonly string[]): RuntimeError {
  const meant = suggest(name, known);
  const hint = meant.length > 0 ? `did you mean ${meant.join(" or ")}?` : `expected ${known.join(", ")}`;
  return new RuntimeError("invalid_argument", `${path} is no field of a script; ${hint}`);
}

/** One of several shapes: which, the value's own nature says. */
export function either(choose: (value: unknown) => number, ...shapes: readonly Shape[]): Shape {
  const expected = shapes.map((shape) => shape.expected).join(", or ");
  return {
    schema: { anyOf: shapes.map(({ schema }) => schema) },
    expected,
    check(value, path) {
      const shape = shapes[choose(value)];
      if (shape) shape.check(value, path);
      else refuse(path, expected, value);
    },
  };
}

/** Objects of several kinds: the field `tag` says which. */
export function variants(tag: string, shapes: Readonly<Record<string, Shape>>): Shape {
  const kinds = Object.keys(shapes);
  const expected = `an object with ${tag} ${kinds.join(", ")}`;
  return {
    schema: { anyOf: Object.values(shapes).map(({ schema }) => schema) },
    expected,
    check(value, path) {
      if (!isObject(value)) refuse(path, expected, value);
      const kind = value[tag];
      const shape = typeof kind === "string" && Object.hasOwn(shapes, kind) ? shapes[kind] : undefined;
      if (!shape) refuse(`${path}.${tag}`, `one of ${kinds.join(", ")}`, kind);
      shape.check(value, path);
    },
  };
}

export function isObject(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}
