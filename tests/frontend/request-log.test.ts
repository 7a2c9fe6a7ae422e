// Who reads the record of a request, and what becomes of the request if one of them fails.
import { acceptTrace, createRuntimeMetrics } from "@dyn/runtime/internal";
import { RuntimeError } from "@dyn/runtime";
import { expect, test } from "vitest";
import type { Exchange } from "../../packages/runtime/src/http/exchange.ts";
import { createFrontendMetrics, type FrontendMetrics } from "../../packages/frontend/src/observe/metrics.ts";
import type { RequestMeter } from "../../packages/frontend/src/observe/request-meter.ts";
import { beginRequestLog, type RequestLogOptions } from "../../packages/frontend/src/observe/request-log.ts";
import { createHistory } from "../../packages/lineage/src/history.ts";
import { noSpan } from "../../packages/runtime/src/trace/spans.ts";
import type { Logger } from "../../packages/runtime/src/logging/logger.ts";
import { createLogger } from "../support/logger.ts";

interface Fixture {
  readonly lines: Record<string, unknown>[];
  readonly exchange: Exchange;
  readonly options: RequestLogOptions;
}

const fail = (what: string) => (): never => {
  throw new Error(`${what} failed`);
};

function createFixture(span?: Exchange["span"]): Fixture {
  const lines: Record<string, unknown>[] = [];
  const log: Logger = createLogger({ sink: (line) => void lines.push(line) });
  const exchange = {
    identity: { requestId: "r", trace: acceptTrace(undefined) },
    log,
    span,
    caller: { apiKey: undefined, isStranger: false, hasKey: false, isOperator: true },
    request: { method: "POST", url: "/v1/chat/completions" },
    rejection: undefined,
    startedAt: 0,
  } as unknown as Exchange; // all that is used of it
  const metrics = createFrontendMetrics({
    registry: createRuntimeMetrics().registry,
    prefix: "p",
    models: () => [],
    graceMs: 0,
    now: () => 0,
  });
  const history = createHistory({ size: 10, now: () => 9, clockOffset: () => 0 });
  return { lines, exchange, options: { metrics, history, now: () => 9 } };
}

const kind = { endpoint: "chat_completions", requestType: "stream", modelAsked: "m", isKnown: true } as const;

function serve({ exchange, options }: Fixture): void {
  using requestLog = beginRequestLog(exchange, kind, options);
  requestLog.responded(200);
  requestLog.received(2, undefined, 5);
  requestLog.received(1, { promptTokens: 3, completionTokens: 4 }, 8);
  requestLog.streamed(77);
}

const messages = ["request received", "http response sent", "http response finished", "request completed"];
const told = ({ lines }: Fixture): unknown[] => lines.map((line) => line["message"]);

test("all read the same facts: those of the last line are those of the history and the span", () => {
  let ofSpan: unknown;
  const fixture = createFixture({
    complete: (describe) => describe({ ...noSpan, setAttributes: (attributes) => void (ofSpan = attributes) }),
  });
  serve(fixture);
  expect(told(fixture)).toEqual(messages);
  const facts = { attempts: 0, input_tokens: 3, output_tokens: 4, ttft_ms: 5, avg_itl_ms: 1, elapsed_ms: 9 };
  expect(fixture.lines.at(-1)).toMatchObject({ ...facts, status: "success" });
  expect(ofSpan).toMatchObject(facts);
  const found = fixture.options.history?.find("r", { owner: undefined, seesAll: true });
  expect(found?.request).toMatchObject({ ...facts, status: "success" });
});

const failing: ReadonlyArray<readonly [string, number, (fixture: Fixture) => Fixture]> = [
  ["a span", 1, (fixture) => ({ ...fixture, exchange: { ...fixture.exchange, span: { complete: fail("a span") } } })],
  ["metrics", 1, (fixture) => withMetrics(fixture, { begin: fail("metrics") })],
  [
    "a meter",
    3,
    (fixture) =>
      withMetrics(fixture, {
        begin: () => ({ tokens: fail("a meter"), ended: fail("a meter") }) as unknown as RequestMeter,
      }),
  ],
  ["a history", 1, (fixture) => withHistory(fixture, { begin: () => undefined, end: fail("a history") })],
  ["a history that cannot begin", 1, (fixture) => withHistory(fixture, { begin: fail("a history") })],
];

function withMetrics(fixture: Fixture, metrics: Partial<FrontendMetrics>): Fixture {
  return {
    ...fixture,
    options: { ...fixture.options, metrics: { ...fixture.options.metrics, ...metrics } as FrontendMetrics },
  };
}

function withHistory(fixture: Fixture, more: object): Fixture {
  return {
    ...fixture,
    options: {
      ...fixture.options,
      history: { find: () => undefined, begin: () => undefined, end: () => undefined, ...more },
    },
  };
}

test.each(failing)("%s that fails ends no request, and takes no line: the log says it", (_name, times, change) => {
  const fixture = change(createFixture());
  serve(fixture);
  const faults = fixture.lines.filter(({ level }) => level === "ERROR");
  expect(faults).toHaveLength(times);
  expect(faults[0]).toMatchObject({ message: "a reader of a request's facts failed, the request goes on" });
  expect(told(fixture).filter((message) => messages.includes(String(message)))).toEqual(messages);
});

test("the lines are written once, however often it is disposed, and the last failure is the one that counts", () => {
  const fixture = createFixture();
  const requestLog = beginRequestLog(fixture.exchange, kind, fixture.options);
  requestLog.fail(new RuntimeError("internal", "first"));
  requestLog.fail(new RuntimeError("unavailable", "last"));
  requestLog[Symbol.dispose]();
  requestLog[Symbol.dispose]();
  expect(told(fixture)).toEqual(["request received", "request completed"]);
  expect(fixture.lines.at(-1)).toMatchObject({ level: "ERROR", status: "error", error: "last" });
});
