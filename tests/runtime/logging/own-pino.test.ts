// A program brings a pino of its own: all lines go there, in its form.
import { pino, type Logger as Pino, type LoggerOptions } from "pino";
import { expect, test } from "vitest";
import { createMemorySpace, createRuntime, type RuntimeOptions } from "@dyn/runtime";
import { loggerOf } from "@dyn/runtime/internal";
import { eventually } from "../../support/cluster.ts";
import { parseJsonLine } from "../../support/log-lines.ts";

type Line = Record<string, unknown>;
type Handle = (log: Pino) => void;

function createOwn(options: LoggerOptions = {}): { log: Pino; lines: Line[] } {
  const lines: Line[] = [];
  const write = (text: string): void => void lines.push(Object.fromEntries(parseJsonLine(text.trimEnd()).values));
  return { log: pino({ base: { app: "mine" }, ...options }, { write }), lines };
}

/** Serve a handler that does `handle` with its log, and ask it once. */
async function ask(log: Pino, handle: Handle, config: RuntimeOptions["config"] = {}): Promise<void> {
  const memorySpace = createMemorySpace();
  await using runtime = await createRuntime({ config: { discoveryBackend: "mem", ...config }, memorySpace, log });
  await runtime.endpoint("dyn://test.own.generate").serve<unknown, string>(async function* (_request, context) {
    handle(context.log);
    yield "item";
  });
  const client = runtime.client<unknown, string>("dyn://test.own.generate");
  await eventually("an instance", () => client.instances.length > 0);
  for await (const item of client.generate({})) expect(item).toBe("item");
}

const uuid = expect.stringMatching(/^[0-9a-f-]{36}$/) as unknown;
const trace = expect.stringMatching(/^[0-9a-f]{32}$/) as unknown;

test("a handler's lines and the runtime's go to it, in its form, with target and ids", async () => {
  const { log, lines } = createOwn({ redact: ["secret"] });
  await ask(log, (own) => own.child({ step: 1 }).info({ secret: "x" }, "said %s", "so"));
  expect(lines.find(({ msg }) => msg === "said so")).toMatchObject({
    level: 30,
    time: expect.any(Number) as unknown,
    app: "mine",
    target: "test::own::generate",
    request_id: uuid,
    trace_id: trace,
    step: 1,
    secret: "[Redacted]",
  });
  const completed = lines.filter(({ event }) => event === "request_completed");
  expect(completed.map(({ target, level }) => [target, level])).toEqual(
    expect.arrayContaining([
      ["request_span", 30],
      ["dyn_runtime::ingress::push_handler", 30],
    ]),
  );
  expect(new Set(completed.map(({ request_id: id }) => id)).size).toBe(1);
});

test("ids cannot be overwritten there either, and an error of ours is one text", async () => {
  const { log, lines } = createOwn();
  await ask(log, (own) => {
    own.info({ request_id: "forged", target: "x" }, "said");
    own.child({ request_id: "forged" }).warn("said");
    own.child({}, { level: "debug" }).child({}).debug({ request_id: "forged" }, "said");
    own.fatal({ request_id: "forged" }, "said");
    own.level = "debug";
    own.debug({ request_id: "forged" }, "said");
    throw new Error("broken");
  }).catch(() => undefined);
  const said = lines.filter(({ msg }) => msg === "said");
  expect(said).toHaveLength(5);
  for (const line of said)
    expect(line).toMatchObject({ request_id: uuid, target: "test::own::generate", "field.request_id": "forged" });
  const failed = lines.find(({ event, level }) => event === "request_completed" && level === 50);
  expect(failed?.["error"]).toMatch(/^Error: broken\n {4}at /);
});

test("what its mixin says, as those of other tracers do, takes no id's place", async () => {
  const { log, lines } = createOwn({ mixin: () => ({ trace_id: "theirs", more: 1 }) });
  await ask(log, (own) => own.info({ step: 1 }, "said"));
  const said = lines.find(({ msg }) => msg === "said");
  expect(said).toMatchObject({ trace_id: trace, "field.trace_id": "theirs", more: 1, step: 1 });
});

test("a line is written if both let it through: its level, which it may change, and the filter of the runtime", async () => {
  const { log, lines } = createOwn({ level: "debug" });
  const handle: Handle = (own) => {
    own.debug("debug");
    own.info("info");
    expect([own.isLevelEnabled("debug"), own.isLevelEnabled("info")]).toEqual([false, true]);
    log.level = "warn";
    own.info("too low");
    own.warn("warn");
  };
  await ask(log, handle, { log: "off,test=info" });
  expect(lines.map(({ msg }) => msg)).toEqual(["info", "warn"]);
});

test("requests that are not sampled say warnings only", async () => {
  const { log, lines } = createOwn();
  await ask(log, (own) => own.info("info"), { logSampleRatio: 0 });
  expect(lines.filter(({ request_id: id }) => id !== undefined)).toEqual([]);
});

const methods = Object.fromEntries(
  ["child", "trace", "debug", "info", "warn", "error"].map((name) => [name, () => undefined]),
);

test.each<[string, unknown, string]>([
  ["a level", "info", "got a string"],
  ["null", null, "got null"],
  ["the console", console, "this one has no method child"],
  ["a logger of another kind", methods, "this one has no method that makes lines"],
])("what is no pino is refused at the start: %s", async (_name, log, reason) => {
  const made = createRuntime({ config: { discoveryBackend: "mem" }, log: log as Pino });
  const message = `log must be a pino logger, ${reason}`;
  await expect(made).rejects.toMatchObject({ code: "invalid_argument", message });
});

test("the log of one runtime can be given to another", async () => {
  const { log, lines } = createOwn();
  const config = { discoveryBackend: "mem" as const };
  await using first = await createRuntime({ config, log });
  await using second = await createRuntime({ config: { ...config, log: "off" }, log: first.log });
  expect(loggerOf(second.log)).toBe(loggerOf(first.log));
  second.log.info({ a: 1 }, "hello");
  expect(lines.at(-1)).toMatchObject({ msg: "hello", target: "dyn", a: 1 });
  await using third = await createRuntime({ config, log: first.log.child({ part: "third" }) });
  third.log.info("hello");
  expect(lines.at(-1)).toMatchObject({ msg: "hello", target: "dyn", part: "third" });
  const redacting = createRuntime({ config, log: first.log.child({}, { redact: ["secret"] }) });
  await expect(redacting).rejects.toThrow("this one is a child of a runtime's with options, such as redact");
});

test("one that throws ends nothing, and Node warns of it once", async () => {
  const warnings: string[] = [];
  const onWarning = ({ message }: Error): void => void warnings.push(message);
  process.on("warning", onWarning);
  const write = (): void => {
    throw new Error("disk is full");
  };
  await ask(pino({}, { write }), () => undefined);
  process.off("warning", onWarning);
  expect(warnings.filter((text) => text.includes("lines of the log"))).toEqual([
    "lines of the log are lost, the pino that writes them has thrown: disk is full",
  ]);
});
