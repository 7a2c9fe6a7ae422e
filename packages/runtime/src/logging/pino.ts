/** The pino below every line: it makes the text. What it would let through is kept out here: a key that stands twice in a line, a value that cannot be read. */
import {
  pino,
  symbols,
  type Bindings,
  type ChildLoggerOptions,
  type DestinationStream,
  type LogFn,
  type Logger as Pino,
} from "pino";
import { RuntimeError } from "../errors.ts";
import { formatError, isError } from "./causes.ts";
import { levels, type Level, type Threshold } from "./filter.ts";
import { createTimeFormat, type Fields } from "./format.ts";
import { stringify } from "./stringify.ts";

export type { Logger as PinoLogger } from "pino";

/** A logger whose lines are about `target`, from `threshold` on. */
export type OpenTarget = (target: string, threshold: Threshold) => Pino;

const reserved: unique symbol = Symbol("reserved");
const bound: unique symbol = Symbol("bound");
const altered: unique symbol = Symbol("altered");

/** What is set on a logger is set on its children: pino makes them from it. */
interface Guarded extends Pino {
  /** Keys that its lines have besides. */
  [reserved]?: ReadonlySet<string>;
  [bound]?: Fields;
  /** A child's maker gave options: a level, serialisers, what is redacted. */
  [altered]?: true;
  /** JSON of its bindings, without braces, with a comma before each. */
  [symbols.chindingsSym]?: string;
}

type Transform = (value: unknown) => unknown;
type Transforms = Readonly<Partial<Record<string | symbol, Transform>>>;

/** What makes values of a line into text, by their keys. */
interface Forms {
  readonly [symbols.serializersSym]: Transforms;
  readonly [symbols.stringifiersSym]: Transforms;
}

/** pino's own, of which each logger is `this`. */
interface Binding {
  readonly child: (this: Pino, bindings: Bindings, options?: ChildLoggerOptions) => Pino;
  readonly setBindings: (this: Pino, bindings: Bindings) => void;
}

// pino calls the last one of bindings.
const ownKeys: ReadonlySet<string> = new Set(["time", "level", "file", "line", "target", "message", "hasOwnProperty"]);
const foreignKeys: ReadonlySet<string> = new Set(["target", "hasOwnProperty"]);
/** Of a level that the filter of the runtime takes away. */
const off = (): void => undefined;

/** Lines go to `stream` as pino makes them, the message last, with a line feed. `now`: Unix time in ms with a fraction. */
export function createPino(stream: DestinationStream, now: () => number): OpenTarget {
  const formatTime = createTimeFormat();
  const root: Pino = pino(
    {
      base: null,
      level: "trace",
      messageKey: "message",
      errorKey: "error",
      formatters: { level: (label: string) => ({ level: label.toUpperCase() }) },
      serializers: { err: (value: unknown) => value }, // all errors alike: `stringify` knows them
      timestamp: () => `,"time":"${formatTime(now())}"`,
      hooks: { logMethod },
    },
    stream,
  );
  Object.assign(root, { [symbols.stringifySym]: stringify });
  return (target, threshold) => guard(root.child({ target }, { level: levels[threshold] ?? "silent" }), ownKeys);
}

/** Lines go where a logger of the user's writes them, in its form, if its own level lets them through. It stays as it is.
 *  @throws RuntimeError `invalid_argument` if it is no pino. */
export function adoptPino(given: Pino): OpenTarget {
  const guardKeys = createKeyGuard(given);
  return (target, threshold) => {
    const logger = guard(given.child({ target }, { serializers: { error: toErrorText } }), foreignKeys);
    guardKeys(logger);
    for (const level of levels.slice(0, threshold)) logger[level] = off; // the others stay those of `given`, whose level may change
    logger.isLevelEnabled = function isLevelEnabled(this: Pino, level: string): boolean {
      return this[level as Level] !== off && given.isLevelEnabled.call(this, level);
    };
    return logger;
  };
}

type AsJson = (this: Pino, fields: Fields, ...rest: readonly unknown[]) => string;

// pino's own method makes the text of a line: what comes there are all its fields, those of a mixin too, whichever level it has.
function createKeyGuard(given: Pino): (logger: Pino) => void {
  const [name, make] = findAsJson(given);
  const makeGuarded: AsJson = function makeGuarded(fields, ...rest) {
    return make.call(this, withFreeKeys(this, fields), ...rest);
  };
  return (logger) => void Object.assign(logger, { [name]: makeGuarded });
}

// The program's copy of pino may be another than ours, with a symbol of its own.
function findAsJson(given: Pino): readonly [symbol, AsJson] {
  for (let at: unknown = given; typeof at === "object" && at !== null; at = Object.getPrototypeOf(at)) {
    const name = Object.getOwnPropertySymbols(at).find(({ description }) => description === "pino.asJson");
    if (name) return [name, (at as Record<symbol, AsJson>)[name] as AsJson]; // its name says what it is
  }
  throw new RuntimeError("invalid_argument", "log must be a pino logger, this one has no method that makes lines");
}

/** What the lines of `logger` have from `bind` and from its children's makers. */
export function boundTo(logger: Guarded): Fields {
  return logger[bound] ?? {};
}

/** True for a child that was made with options of its own. */
export function isAltered(logger: Guarded): boolean {
  return logger[altered] === true;
}

/** A child whose lines have `fields`, in one text for all: pino alone makes one of each value, which costs three times as much. */
export function bind(parent: Guarded, fields: Fields): Pino {
  if (parent[reserved] !== ownKeys) return parent.child(fields);
  const free = withFreeKeys(parent, fields);
  const text = stringify(free) ?? "";
  if (!text.startsWith("{")) return parent.child(free); // a value that JSON has no form for
  const made = Object.create(parent) as Guarded;
  if (text !== "{}") made[symbols.chindingsSym] = `${parent[symbols.chindingsSym] ?? ""},${text.slice(1, -1)}`;
  made[bound] = free;
  return made;
}

function guard(logger: Guarded, keys: ReadonlySet<string>): Pino {
  const plain = Object.getPrototypeOf(logger) as Binding; // its parent
  return Object.assign(logger, {
    [reserved]: keys,
    child(this: Guarded, bindings: Bindings, options?: ChildLoggerOptions): Pino {
      if (options?.formatters)
        throw new RuntimeError(
          "invalid_argument",
          "a child of this logger can have no formatters: they could change ids",
        );
      const free = { ...withFreeKeys(this, bindings) }; // pino asks it for hasOwnProperty
      const made: Guarded = plain.child.call(this, free, options);
      made[bound] = this[bound] ? { ...this[bound], ...free } : free;
      if (options) made[altered] = true;
      if (keys === ownKeys && options) keepForm(made);
      return made;
    },
    setBindings(this: Guarded, bindings: Bindings): void {
      const free = { ...withFreeKeys(this, bindings) };
      plain.setBindings.call(this, free);
      this[bound] = { ...this[bound], ...free };
    },
  });
}

// What options of a child can change of the form of a line: pino's own stringify comes with them, and the message may be no text any more.
function keepForm(logger: Guarded): void {
  const { [symbols.serializersSym]: serializers, [symbols.stringifiersSym]: stringifiers } = logger as unknown as Forms;
  const serialize = serializers["message"];
  const censor = stringifiers["message"] ?? stringifiers[symbols.wildcardFirstSym];
  const toMessage: Transform = (value) => toText(serialize?.(value));
  const toCensored: Transform = (value) => censor?.(value) ?? '""';
  Object.assign(logger, { [symbols.stringifySym]: stringify });
  if (serialize) Object.assign(logger, { [symbols.serializersSym]: toTable(serializers, { message: toMessage }) });
  if (censor) Object.assign(logger, { [symbols.stringifiersSym]: toTable(stringifiers, { message: toCensored }) });
}

// As pino's: a field may be called `constructor`.
function toTable(...parts: readonly Transforms[]): Transforms {
  return Object.assign(Object.create(null), ...parts) as Transforms;
}

// pino calls it for every line. It does not throw, whatever the line is of: the request matters more.
function logMethod(this: Guarded, args: unknown[], method: LogFn): void {
  const [fields, message] = args;
  try {
    if (args.length === 2 && typeof message === "string" && isFields(fields))
      method.call(this, withFreeKeys(this, fields), message);
    else method.apply(this, readCall(this, args));
  } catch {
    const text = args.find((value) => typeof value === "string") ?? "";
    method.call(withoutForeignCode(this), { error: "a value of this line cannot be read" }, text);
  }
}

// Serialisers and censors of a child are its maker's, and may be what has thrown.
function withoutForeignCode(logger: Guarded): Guarded {
  const plain = Object.create(logger) as Guarded;
  return Object.assign(plain, { [symbols.serializersSym]: toTable(), [symbols.stringifiersSym]: toTable() });
}

function toErrorText(value: unknown): unknown {
  return isError(value) ? formatError(value) : value;
}

function isFields(value: unknown): value is Fields {
  return typeof value === "object" && value !== null && !isError(value);
}

// As pino reads it, but there is always a message, and it is a text.
function readCall(logger: Guarded, [first, ...others]: readonly unknown[]): [Fields, string, ...unknown[]] {
  if (typeof first !== "object" && first !== undefined) return [{}, toText(first), ...others];
  const fields = isError(first) ? { error: first } : ((first ?? {}) as Fields); // any object may be read by key
  const [text, ...values] = others;
  if (text !== undefined) return [withFreeKeys(logger, fields), toText(text), ...values];
  const { message, ...rest } = fields;
  if (typeof message === "string") return [withFreeKeys(logger, rest), message];
  return [withFreeKeys(logger, fields), isError(fields["error"]) ? fields["error"].message : ""];
}

function toText(value: unknown): string {
  return typeof value === "string" ? value : (typeof value === "object" && stringify(value)) || String(value);
}

// A key that a line has already becomes `field.<key>`: ids cannot be overwritten, and nothing is lost. Nearly all fields are returned as they are.
function withFreeKeys(logger: Guarded, fields: Fields): Fields {
  const { [reserved]: keys = ownKeys, [bound]: known = {} } = logger;
  const isTaken = (key: string): boolean => keys.has(key) || (known[key] !== undefined && Object.hasOwn(known, key));
  for (const key in fields) if (isTaken(key)) return rename(fields, isTaken);
  return fields;
}

function rename(fields: Fields, isTaken: (key: string) => boolean): Fields {
  const free = Object.create(null) as Record<string, unknown>; // a field may be called `__proto__`
  for (const [key, value] of Object.entries(fields)) {
    let name = key;
    while (isTaken(name) || (name !== key && Object.hasOwn(fields, name))) name = `field.${name}`;
    free[name] = value;
  }
  return free;
}
