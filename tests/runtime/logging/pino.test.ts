// The logger of a handler is a pino: what its users know, in lines whose ids nobody overwrites.
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import type { ChildLoggerOptions, Logger as Pino } from "pino";
import { createRuntime, RuntimeError } from "@dyn/runtime";
import { parseLogFilter } from "../../../packages/runtime/src/logging/filter.ts";
import { loggerOf } from "../../../packages/runtime/src/logging/logger.ts";
import { createLogger } from "../../support/logger.ts";

type Line = Record<string, unknown>;

const ids = { request_id: "real", span_id: "b513e60d0e126a6c" };
const head = { level: "INFO", target: "test::echo::generate", message: "m", ...ids };

/** What a handler of a request has, and what it has said. Each line is read by the letter: a key that stands twice is an error. */
function open({ filter = "trace", isLogged = true } = {}): { log: Pino; lines: Line[] } {
  const lines: Line[] = [];
  const root = createLogger({
    sink: (line) => lines.push(line),
    filter: parseLogFilter(filter),
    isLogged: () => isLogged,
  });
  const request = root.child({ requestId: "real", fields: () => ids });
  return { log: request.child({ target: "test::echo::generate" }).pino, lines };
}

function say(write: (log: Pino) => void): Line[] {
  const { log, lines } = open();
  write(log);
  return lines;
}

describe("the logger of a handler", () => {
  test.each<[string, (log: Pino) => void, Line]>([
    ["a text", (log) => log.info("m"), head],
    ["a text with values", (log) => log.info("%s of %d", "one", 2), { ...head, message: "one of 2" }],
    ["fields and a text", (log) => log.info({ a: 1 }, "m"), { ...head, a: 1 }],
    ["fields and a text with values", (log) => log.info({ a: 1 }, "m%s", 2), { ...head, message: "m2", a: 1 }],
    ["fields alone", (log) => log.info({ a: 1 }), { ...head, message: "", a: 1 }],
    ["fields with the message among them", (log) => log.info({ a: 1, message: "m" }), { ...head, a: 1 }],
    ["nothing", (log) => log.info(undefined), { ...head, message: "" }],
    [
      "a message that is an object",
      (log) => log.info({}, { message: "x" } as never),
      { ...head, message: '{"message":"x"}' },
    ],
    ["a message that is a number", (log) => log.info(7 as never), { ...head, message: "7" }],
    ["the highest level", (log) => log.fatal("m"), { ...head, level: "FATAL" }],
  ])("takes %s", (_name, write, expected) => {
    expect(say(write)).toEqual([expected]);
  });

  test.each<[string, (log: Pino, error: Error) => void]>([
    ["by itself", (log, error) => log.error(error)],
    ["with a message", (log, error) => log.error(error, "went wrong")],
    ["as a field", (log, error) => log.error({ error })],
    ["as pino's field", (log, err) => log.error({ err }, "went wrong")],
    ["as any field", (log, reason) => log.error({ reason }, "went wrong")],
  ])("writes an error %s as one text, with its causes", (_name, write) => {
    const error = new Error("went wrong", { cause: new Error("below") });
    const [line] = say((log) => write(log, error));
    expect(line).toMatchObject({ level: "ERROR", message: "went wrong", ...ids });
    const text = line?.["error"] ?? line?.["err"] ?? line?.["reason"];
    expect(text).toMatch(/^Error: went wrong\n {4}at .*\ncaused by: Error: below\n/s);
  });

  test("has children with bindings, serialisers, a prefix and what is redacted", () => {
    const lines = say((log) => {
      const serializers = { user: ({ name }: { name: string }): string => name };
      const child = log.child(
        { step: 1, user: { name: "ada" } },
        { serializers, redact: ["secret", "deep.key"], msgPrefix: "[a] " },
      );
      child.info({ secret: "x", deep: { key: "y", other: 7 }, user: { name: "bob" } }, "m");
      child.child({ step: 2 }).info("m");
      child.setBindings({ more: true, request_id: "forged" });
      child.info("m");
    });
    const bound = { ...head, message: "[a] m", step: 1, user: "ada" };
    expect(lines).toEqual([
      {
        ...bound,
        secret: "[Redacted]",
        deep: { key: "[Redacted]", other: 7 },
        "field.user": { name: "bob" },
      },
      { ...bound, "field.step": 2 },
      { ...bound, more: true, "field.request_id": "forged" },
    ]);
    expect(open().log.child({ a: 1 }).bindings()).toEqual({ target: "test::echo::generate", ...ids, a: 1 });
  });

  test("keeps ids, level, time, target and message, whoever names a field so", () => {
    const forged = {
      request_id: "forged",
      level: "evil",
      time: 0,
      target: "t",
      message: "x",
      file: "f",
      "field.level": 1,
    };
    const kept = { "field.request_id": "forged", "field.time": 0, "field.target": "t", "field.file": "f" };
    const renamed = { ...kept, "field.field.level": "evil", "field.level": 1, "field.message": "x" };
    expect(say((log) => log.info(forged, "m"))).toEqual([{ ...head, ...renamed }]);
    expect(say((log) => log.child(forged).info("m"))).toEqual([{ ...head, ...renamed }]);
    expect(say((log) => log.child({}, { level: "trace" }).child({}).info({ request_id: 1 }, "m"))).toEqual([
      { ...head, "field.request_id": 1 },
    ]);
    expect(say((log) => log.child({ more: undefined }).info({ more: 1 }, "m"))).toEqual([{ ...head, more: 1 }]);
    expect(() => open().log.child({}, { formatters: { log: () => ({ request_id: "forged" }) } })).toThrow(RuntimeError);
  });

  test("never throws, whatever it is given, and always writes a whole line with its ids", () => {
    const cycle: Line = { big: 2n ** 64n };
    cycle["self"] = cycle;
    const hostile = {
      get trap(): never {
        throw new Error("no");
      },
    };
    const proxy = new Proxy(
      {},
      {
        ownKeys: () => {
          throw new Error("no");
        },
      },
    );
    const bare: unknown = Object.create(null);
    expect(say((log) => log.info({ cycle, hostile, n: Number.NaN, f: () => 1 }, "m"))).toEqual([
      { ...head, cycle: { big: "18446744073709551616", self: "[Circular]" }, hostile: "[not serialisable]", n: null },
    ]);
    expect(say((log) => log.info(hostile, "m"))).toMatchObject([head]);
    expect(say((log) => log.info(proxy, "m"))).toMatchObject([head]);
    expect(say((log) => log.info({}, "m %s", bare))).toMatchObject([{ ...head, message: "m %s" }]);
    expect(say((log) => log.child({ cycle, hostile }).info("m"))).toMatchObject([
      { ...head, hostile: "[not serialisable]" },
    ]);
    fc.assert(
      fc.property(
        fc.dictionary(fc.string(), fc.anything({ withBigInt: true, withNullPrototype: true })),
        fc.anything(),
        (fields, other) => {
          expect(say((log) => log.child({ ...fields }).info(fields, "m"))).toMatchObject([head]);
          expect(say((log) => log.info(other as object))).toMatchObject([
            { ...ids, target: head.target, level: "INFO" },
          ]);
        },
      ),
    );
  });

  test("keeps a line whole, whatever the options of a child make of its values", () => {
    const fail = (): never => {
      throw new Error("no");
    };
    const unreadable = { ...head, error: "a value of this line cannot be read" };
    const options: [ChildLoggerOptions, Line][] = [
      [{ serializers: { error: fail } }, unreadable],
      [{ serializers: { message: fail } }, unreadable],
      [{ redact: { paths: ["error"], censor: fail } }, unreadable],
      [
        { serializers: { message: (text: string) => ({ text, message: "x" }) } },
        { message: '{"text":"m","message":"x"}' },
      ],
      [{ redact: { paths: ["message"], remove: true } }, { message: "" }],
      [{ redact: { paths: ["*"], remove: true } }, { message: "" }],
    ];
    for (const [given, expected] of options)
      expect(say((log) => log.child({}, given).info({ error: 1 }, "m"))).toMatchObject([{ ...ids, ...expected }]);
  });

  test("takes bindings without a prototype, and with any name", () => {
    const bindings = Object.assign(Object.create(null), { hasOwnProperty: 1, constructor: 2 }) as Line;
    expect(say((log) => log.child(bindings).info(JSON.parse('{"__proto__":3,"time":4}') as Line, "m"))).toEqual([
      { ...head, "field.hasOwnProperty": 1, constructor: 2, ["__proto__"]: 3, "field.time": 4 },
    ]);
  });

  test("says when its lines have left, as pino's users ask", async () => {
    await using runtime = await createRuntime({ config: { discoveryBackend: "mem", log: "off" } });
    await new Promise<void>((resolve) => runtime.log.flush(() => resolve()));
  });

  test("says what the filter lets through, and knows it", () => {
    const { log, lines } = open({ filter: "off,test::echo=warn" });
    log.info("m");
    log.warn("m");
    expect(log.isLevelEnabled("info")).toBe(false);
    expect(lines).toEqual([{ ...head, level: "WARN" }]);
  });

  test("of a request that is not sampled says warnings only", () => {
    const { log, lines } = open({ isLogged: false });
    for (const level of ["trace", "info", "warn", "error"] as const) log.child({ a: 1 })[level]("m");
    expect(lines.map(({ level }) => level)).toEqual(["WARN", "ERROR"]);
  });

  test("leads back to the logger it came from, with what its children were bound to", () => {
    const { log, lines } = open();
    loggerOf(log).info({}, "m");
    loggerOf(log.child({ a: 1 }))
      .child({ target: "other" })
      .info({}, "m");
    expect(lines).toEqual([head, { ...head, target: "other", a: 1 }]);
  });
});
