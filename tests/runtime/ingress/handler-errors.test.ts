// What a handler throws, yields and returns, as its caller and its log see it. A rejection nobody handles would fail the run.
import { describe, expect, test } from "vitest";
import { createMemorySpace, createRuntime, RuntimeError, type Handler, type ServeOptions } from "@dyn/runtime";
import { partsOf } from "@dyn/runtime/internal";
import { serveModel } from "@dyn/runtime/llm";
import { createLogger } from "../../support/logger.ts";
import { follow } from "../discovery/spaces.ts";
import { collect, failureOf } from "../peers.ts";

const config = { discoveryBackend: "mem", log: "off" } as const;

interface Outcome {
  readonly items: readonly unknown[];
  /** Of the error the caller gets. */
  readonly thrown: unknown;
  /** Of the worker's line `request completed`. */
  readonly error: string;
}

// One request to a handler that plain JavaScript may have written.
async function ask(handler: unknown, options?: ServeOptions<unknown>): Promise<Outcome> {
  const memorySpace = createMemorySpace();
  const lines: Readonly<Record<string, unknown>>[] = [];
  await using server = await createRuntime({
    config,
    memorySpace,
    log: createLogger({ sink: (record) => lines.push(record) }).pino,
  });
  await using caller = await createRuntime({ config, memorySpace });
  await server.endpoint("dyn://test.throws.generate").serve(handler as Handler<unknown, unknown>, options);
  const items: unknown[] = [];
  let thrown: unknown;
  try {
    for await (const item of caller.client("dyn://test.throws.generate").generate({})) items.push(item);
  } catch (error) {
    thrown = error;
  }
  const completed = lines.findLast(({ message }) => message === "request completed");
  return { items, thrown, error: String(completed?.["error"]) };
}

function throwing(make: () => unknown): unknown {
  return async function* () {
    yield 1;
    throw make();
  };
}

// An error with a property that plain JavaScript has put there.
function withProperty(error: Error, name: string, descriptor: PropertyDescriptor): Error {
  return Object.defineProperty(error, name, descriptor);
}

const trapped = (): never => {
  throw new Error("trapped");
};
const trap = { get: trapped };

test.each([
  ["an abort of its own", new DOMException("its own call was aborted", "AbortError"), "internal"],
  ["a code of its own choice", new RuntimeError("unimplemented", "not here"), "unimplemented"],
  ["cancelled, which nobody has", new RuntimeError("cancelled", "says the engine"), "internal"],
  ["a code of a limit", new RuntimeError("overloaded", "full"), "overloaded"],
])("%s", async (_name, error, code) => {
  expect(await ask(throwing(() => error))).toMatchObject({ items: [1], thrown: { code } });
});

test("a short message with half of a character arrives with U+FFFD in its place", async () => {
  const { thrown } = await ask(throwing(() => new RuntimeError("overloaded", "half: \ud83d")));
  expect(thrown).toMatchObject({ code: "overloaded", message: "half: \ufffd" });
});

// A frontend would tell its client that the API key is wrong, that nobody serves the model, or that another worker's connection was lost.
test.each(["unauthenticated", "cancelled", "not_found", "unknown_route", "disconnected", "cannot_connect"] as const)(
  "%s is not a handler's to say: the caller gets internal, and the log names it",
  async (code) => {
    const { thrown, error } = await ask(throwing(() => new RuntimeError(code, "says the engine")));
    expect(thrown).toMatchObject({ code: "internal", message: "the worker failed" });
    expect(error).toContain(`the handler failed with ${code}, which it may not say: says the engine`);
  },
);

describe("whatever is thrown, the caller gets internal, the log says what it was, and the process goes on:", () => {
  test.each<[string, () => unknown, RegExp]>([
    [
      "an unknown code",
      () => new RuntimeError("not-found" as "internal", "no such file"),
      /"not-found" is no error code, expected one of .*not_found.*no such file/,
    ],
    [
      "a code changed later",
      () => withProperty(new RuntimeError("internal", "x"), "code", { value: "ENOENT" }),
      /"ENOENT" is no error code/,
    ],
    [
      "a message that is no text",
      () => withProperty(new RuntimeError("invalid_argument", ""), "message", { value: 5 }),
      /the message was: 5/,
    ],
    [
      "a message whose getter throws",
      () => withProperty(new Error("x"), "message", trap),
      /something was thrown that cannot be read[^]*trapped/,
    ],
    [
      "the same of our own class",
      () => withProperty(new RuntimeError("internal", "x"), "message", trap),
      /cannot be read/,
    ],
    [
      "a message that is a symbol",
      () => withProperty(new Error("x"), "message", { value: Symbol("x") }),
      /cannot be read/,
    ],
    ["a stack whose getter throws", () => withProperty(new Error("x"), "stack", trap), /cannot be read/],
    ["a cause whose getter throws", () => withProperty(new Error("top"), "cause", trap), /Error: top/],
    ["a frozen error", () => Object.freeze(new Error("frozen")), /Error: frozen/],
    ["null", () => null, /a value that is no Error was thrown[^]*null/],
    ["undefined", () => undefined, /a value that is no Error was thrown/],
    ["a plain object", () => ({ message: "plain", code: 7 }), /no Error was thrown[^]*\{ message: 'plain', code: 7 \}/],
    ["an object without a prototype", () => Object.create(null) as unknown, /no Error was thrown/],
    ["a cycle", () => [1].map((_one, _index, list: unknown[]) => (list.push(list), list))[0], /no Error was thrown/],
    // oxlint-disable-next-line no-thenable -- that is the case
    ["a thenable", () => Object.fromEntries([["then", trapped]]), /no Error was thrown/],
    [
      "a proxy",
      () => new Proxy({}, { get: trapped, getPrototypeOf: trapped, has: trapped }),
      /cannot be read[^]*trapped/,
    ],
  ])("%s", async (_name, make, said) => {
    const { items, thrown, error } = await ask(throwing(make));
    expect({ items, thrown }).toMatchObject({ items: [1], thrown: { code: "internal", message: "the worker failed" } });
    expect(error).toMatch(said);
  });
});

// Its code and its message are read once, and it is not looked at again.
test.each<[string, RuntimeError]>([
  [
    "a getter of its class",
    new (class extends RuntimeError {
      override get traits(): never {
        return trapped();
      }
    })("unimplemented", "not here"),
  ],
  [
    "a cause whose getter throws",
    withProperty(new RuntimeError("unimplemented", "not here"), "cause", trap) as RuntimeError,
  ],
  [
    "a proxy",
    new Proxy(new RuntimeError("unimplemented", "not here"), {
      get: (error, key) => (key === "traits" ? trapped() : Reflect.get(error, key)),
    }),
  ],
])("an error of ours with traps ends its request alone: %s", async (_name, error) => {
  const { items, thrown, error: said } = await ask(throwing(() => error));
  expect(items).toEqual([1]);
  expect(thrown).toMatchObject({ code: expect.stringMatching(/^(unimplemented|internal)$/) });
  expect(said).toMatch(/not here|cannot be read/);
});

describe("what a handler returns and yields is named in the log:", () => {
  const hostile = (iterator: Partial<AsyncIterator<unknown>>) => () => ({ [Symbol.asyncIterator]: () => iterator });
  const yielding = (item: unknown) =>
    async function* () {
      yield item;
    };
  const cycle: Record<string, unknown> = {};
  cycle["self"] = cycle;
  test.each<[string, unknown, RegExp]>([
    ["a generator that is not async", function* () {}, /the value is a Generator, which is no plain data/],
    ["a promise of what is no plain data", async () => ({ on: () => 1 }), /on is a function/],
    ["a promise that rejects", () => Promise.reject(new Error("too early")), /Error: too early/],
    ["an iterator that throws", hostile({ next: trapped }), /trapped/],
    ["an iterator whose results are none", hostile({ next: async () => 5 as never }), /not an object/],
    [
      "an iterator whose end throws",
      hostile({ next: async () => ({ value: Symbol("x") }), return: async () => trapped() }),
      /the value is a symbol/,
    ],
    ["a function", yielding({ on: () => 1 }), /on is a function/],
    ["a cycle", yielding(cycle), /self is nested deeper than 64 levels/],
    ["a bigint that is too long", yielding([10n ** 1_024n]), /\[0\] is an integer of more than 1024 digits/],
    ["a date that is none", yielding({ at: new Date(Number.NaN) }), /at is a Date of no time/],
    ["half of a surrogate pair", yielding({ text: "\ud83d" }), /text holds half of a surrogate pair/],
    [
      "a getter that throws",
      yielding(Object.defineProperty({}, "x", { enumerable: true, ...trap })),
      /cannot be read[^]*trapped/,
    ],
  ])("%s", async (_name, handler, said) => {
    const { items, thrown, error } = await ask(handler);
    expect({ items, thrown }).toMatchObject({ items: [], thrown: { code: "internal" } });
    expect(error).toMatch(said);
  });

  test("a count of tokens that throws", async () => {
    const countTokens = (): number => trapped();
    expect(await ask(yielding(1), { countTokens })).toMatchObject({
      items: [1],
      thrown: { code: "internal" },
      error: expect.stringContaining("trapped"),
    });
  });

  test("a promise of a generator is one", async () => {
    expect(await ask(async () => yielding("one")())).toMatchObject({ items: ["one"], thrown: undefined });
  });

  test("facts that cannot be written cost themselves, not the line", async () => {
    const memorySpace = createMemorySpace();
    const lines: Readonly<Record<string, unknown>>[] = [];
    await using server = await createRuntime({
      config,
      memorySpace,
      log: createLogger({ sink: (record) => lines.push(record) }).pino,
    });
    await server.endpoint("dyn://test.facts.generate").serve(async function* (_request: unknown, context) {
      context.report({ odd: { toJSON: trapped } as never, request_id: "forged" });
      yield 1;
    });
    const answer = server.client("dyn://test.facts.generate").generate({});
    for await (const item of answer) expect(item).toBe(1);
    expect(lines.find(({ message }) => message === "request completed")).toMatchObject({
      odd: "[not serialisable]",
      request_id: answer.requestId,
    });
  });
});

test("the codes are a closed set: another one is refused by the constructor, with the list", () => {
  expect(() => new RuntimeError("toString" as "internal", "x")).toThrow(
    /^"toString" is no error code, expected one of invalid_argument, .*overloaded; the message was: x$/,
  );
});

test("a model whose card cannot be published leaves no endpoint behind", async () => {
  const memorySpace = createMemorySpace();
  await using runtime = await createRuntime({ config, memorySpace });
  const { discovery } = runtime;
  const publish = discovery.publish.bind(discovery);
  discovery.publish = (record) =>
    record.type === "Model" ? Promise.reject(new RuntimeError("unavailable", "full")) : publish(record);
  const tried = serveModel(runtime, { model: "lost" }, async function* () {});
  await expect(tried).rejects.toMatchObject({ code: "unavailable", message: "full" });
  using left = follow(discovery);
  expect(left.heard).toEqual([]);
  discovery.publish = publish;
  await using _serving = await serveModel(runtime, { model: "found" }, async function* () {});
});

test("a model whose card cannot be withdrawn is served no more all the same", async () => {
  const memorySpace = createMemorySpace();
  const lines: Readonly<Record<string, unknown>>[] = [];
  await using runtime = await createRuntime({
    config,
    memorySpace,
    log: createLogger({ sink: (record) => lines.push(record) }).pino,
  });
  const { discovery } = runtime;
  const publish = discovery.publish.bind(discovery);
  const stuck: AsyncDisposable = { [Symbol.asyncDispose]: () => Promise.reject(new Error("EROFS")) };
  discovery.publish = async (record) => (record.type === "Model" ? stuck : publish(record));
  const serving = await serveModel(runtime, { model: "stuck" }, async function* () {});
  await serving[Symbol.asyncDispose]();
  using left = follow(discovery);
  expect(left.heard).toEqual([]);
  expect(lines).toContainEqual(
    expect.objectContaining({ level: "WARN", message: "model card could not be withdrawn" }),
  );
});

test("an answer whose rest cannot be asked for ends, and its attempt with it", async () => {
  const memorySpace = createMemorySpace();
  await using caller = await createRuntime({ config, memorySpace });
  await using first = await createRuntime({ config, memorySpace });
  await using second = await createRuntime({ config, memorySpace });
  for (const server of [first, second])
    await server.endpoint("dyn://test.rest.generate").serve(async function* (_request: unknown, context) {
      yield 1;
      await new Promise((resolve) => setImmediate(resolve)); // what was yielded has left
      partsOf(context).connection.cut();
    });
  const client = caller.client("dyn://test.rest.generate");
  await client.waitForInstances({ count: 2 });
  const answer = client.generate({}, { resume: trapped });
  expect(await failureOf(collect(answer))).toMatchObject({ code: "internal", message: "trapped" });
  expect(answer.reports).toMatchObject([{ outcome: "worker_disconnected" }]);
});
