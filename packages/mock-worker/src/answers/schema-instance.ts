/** Values that a JSON Schema describes: the same ones each time, small, and as few as it allows. https://json-schema.org/draft/2020-12 */

type Schema = Readonly<Record<string, unknown>>;

/** How much of a schema is filled. */
export interface InstanceOptions {
  /** All properties of objects, not the required ones only. */
  readonly isWhole: boolean;
}

/** References and levels that are followed. */
const maxDepth = 24;
/** Schemas that are looked at for one instance: those that hold themselves several times would have no end. */
const maxSteps = 10_000;

/** An instance of `schema`. `name` is the text of strings that have no other. What cannot be read is null. */
export function toInstance(schema: unknown, name: string, { isWhole }: InstanceOptions): unknown {
  return new Filler(schema, isWhole).fill(schema, name, 0);
}

class Filler {
  #root: unknown;
  #isWhole: boolean;
  #steps = 0;

  constructor(root: unknown, isWhole: boolean) {
    this.#root = root;
    this.#isWhole = isWhole;
  }

  fill(given: unknown, name: string, depth: number): unknown {
    const schema = this.#resolve(given, depth);
    if (!schema) return given === true ? name : null;
    for (const key of ["const", "default"] as const) if (schema[key] !== undefined) return schema[key];
    for (const key of ["enum", "examples"] as const) {
      const [first] = listOf(schema[key]);
      if (first !== undefined) return first;
    }
    switch (typeOf(schema)) {
      case "object":
        return this.#fillObject(schema, depth);
      case "array":
        return this.#fillArray(schema, name, depth);
      case "string":
        return toText(schema, name);
      case "integer":
      case "number":
        return toNumber(schema);
      case "boolean":
        return true;
      default:
        return null;
    }
  }

  // Follows references, takes the first alternative that is not null, and adds up what must hold together.
  #resolve(given: unknown, depth: number): Schema | undefined {
    this.#steps += 1;
    if (depth > maxDepth || this.#steps > maxSteps || !isSchema(given)) return undefined;
    const { $ref, allOf, anyOf, oneOf, ...own } = given;
    const parts = [own];
    if (typeof $ref === "string") parts.push(this.#resolve(this.#find($ref), depth + 1) ?? {});
    for (const part of listOf(allOf)) parts.push(this.#resolve(part, depth + 1) ?? {});
    const alternatives = [...listOf(anyOf), ...listOf(oneOf)];
    const chosen = alternatives.find((each) => !isSchema(each) || each["type"] !== "null") ?? alternatives[0];
    if (chosen !== undefined) parts.push(this.#resolve(chosen, depth + 1) ?? {});
    return parts.reduce(merge, {});
  }

  #find(ref: string): unknown {
    const steps = ref.startsWith("#/") ? ref.slice(2).split("/") : ref === "#" ? [] : undefined;
    let at: unknown = steps ? this.#root : undefined;
    for (const step of steps ?? []) {
      const key = decodeURIComponent(step).replaceAll("~1", "/").replaceAll("~0", "~");
      at = isSchema(at) && Object.hasOwn(at, key) ? at[key] : undefined;
    }
    return at;
  }

  #fillObject(schema: Schema, depth: number): Record<string, unknown> {
    const properties = isSchema(schema["properties"]) ? schema["properties"] : {};
    const required = listOf(schema["required"]).filter((name) => typeof name === "string");
    const names = this.#isWhole || required.length === 0 ? Object.keys(properties) : required;
    const wanted = depth > maxDepth / 2 ? names.filter((name) => required.includes(name)) : names; // one that holds itself ends
    return Object.fromEntries(wanted.map((name) => [name, this.fill(properties[name] ?? true, name, depth + 1)]));
  }

  #fillArray(schema: Schema, name: string, depth: number): unknown[] {
    const prefix = listOf(schema["prefixItems"]);
    const least = toLimit(schema["minItems"]) ?? 0;
    const count =
      depth > maxDepth / 2 ? least : Math.max(least, prefix.length, toLimit(schema["maxItems"]) === 0 ? 0 : 1);
    const item = (index: number): unknown => this.fill(prefix[index] ?? schema["items"] ?? true, name, depth + 1);
    return Array.from({ length: Math.min(count, 100) }, (_, index) => item(index));
  }
}

function isSchema(value: unknown): value is Schema {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

function listOf(value: unknown): readonly unknown[] {
  return Array.isArray(value) ? value : [];
}

function merge(one: Schema, other: Schema): Schema {
  const properties = { ...(one["properties"] as object | undefined), ...(other["properties"] as object | undefined) };
  const required = [...listOf(one["required"]), ...listOf(other["required"])];
  return {
    ...one,
    ...other,
    ...(Object.keys(properties).length > 0 && { properties }),
    ...(required.length > 0 && { required: [...new Set(required)] }),
  };
}

function typeOf(schema: Schema): unknown {
  const first = [schema["type"] ?? []].flat().find((type) => type !== "null");
  if (first !== undefined) return first;
  if (schema["properties"] !== undefined) return "object";
  if (schema["items"] !== undefined || schema["prefixItems"] !== undefined) return "array";
  return schema["type"] === undefined ? "string" : "null";
}

/** Of the formats of JSON Schema that programs check. */
const formats: Readonly<Record<string, string>> = {
  date: "2026-01-01",
  time: "12:00:00Z",
  "date-time": "2026-01-01T12:00:00Z",
  duration: "PT1M",
  email: "user@example.com",
  hostname: "example.com",
  ipv4: "192.0.2.1",
  ipv6: "2001:db8::1",
  uri: "https://example.com/",
  uuid: "00000000-0000-4000-8000-000000000000",
};

function toText(schema: Schema, name: string): string {
  const format = schema["format"];
  if (typeof format === "string" && Object.hasOwn(formats, format)) return formats[format] ?? name;
  const [least = 0, most = Number.POSITIVE_INFINITY] = [toLimit(schema["minLength"]), toLimit(schema["maxLength"])];
  return name.padEnd(Math.min(least, 10_000), "x").slice(0, Math.max(0, most));
}

// 1, or what is nearest to it.
function toNumber(schema: Schema): number {
  const isWhole = schema["type"] === "integer";
  const step = toLimit(schema["multipleOf"]) ?? (isWhole ? 1 : 0);
  const above = toLimit(schema["exclusiveMinimum"]);
  const below = toLimit(schema["exclusiveMaximum"]);
  const little = step > 0 ? step : 0.5;
  const least = Math.max(toLimit(schema["minimum"]) ?? -Infinity, above === undefined ? -Infinity : above + little);
  const most = Math.min(toLimit(schema["maximum"]) ?? Infinity, below === undefined ? Infinity : below - little);
  const near = Math.min(Math.max(1, least), most);
  if (step <= 0) return near;
  const up = Math.ceil(near / step) * step;
  return up <= most ? up : Math.floor(near / step) * step;
}

// Numbers with many digits arrive as their text.
function toLimit(value: unknown): number | undefined {
  if (typeof value === "number") return value;
  const text = isSchema(value) ? value["rawJSON"] : undefined;
  return typeof text === "string" ? Number(text) : undefined;
}
