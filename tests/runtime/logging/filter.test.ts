// Which lines are written: by target, by event, by request.
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { logEvents, parseLogEvents } from "../../../packages/runtime/src/logging/events.ts";
import { levels, parseLogFilter } from "../../../packages/runtime/src/logging/filter.ts";
import { createLogSampler, hashRequestId } from "../../../packages/runtime/src/logging/sampling.ts";
import { createLogger } from "../../support/logger.ts";

function levelOf(directives: string, target: string): string {
  return levels[parseLogFilter(directives)(target)] ?? "off";
}

describe("the filter", () => {
  test.each([
    ["", "dyn_runtime", "info"],
    ["debug", "dyn_runtime", "debug"],
    ["info,debug", "dyn_runtime", "debug"],
    ["warn,dyn_runtime::egress=debug", "dyn_runtime::egress::router", "debug"],
    ["warn,dyn_runtime::egress=debug", "dyn_runtime::egressive", "warn"],
    [" info , dyn_runtime = trace ", "dyn_runtime", "trace"],
    ["off", "request_span", "off"],
    ["off,request_span=debug", "request_span", "debug"],
    ["a=debug,a=warn", "a", "warn"],
    ["4", "x", "debug"],
    ["0", "x", "off"],
  ])("%j gives %s the level %s", (directives, target, level) => {
    expect(levelOf(directives, target)).toBe(level);
  });

  test.each(["verbose", "info,a=loud", "warning"])("%j is refused by name", (directives) => {
    expect(() => parseLogFilter(directives)).toThrow(/unknown log level/);
  });
});

test("a level that is off costs a no-op and writes nothing", () => {
  const records: unknown[] = [];
  const log = createLogger({ sink: (record) => records.push(record), filter: parseLogFilter("warn") });
  log.info({}, "quiet");
  log.child({ fields: { a: 1 } }).warn({ b: 2 }, "loud");
  expect(records).toEqual([{ level: "WARN", target: "dyn", message: "loud", a: 1, b: 2 }]);
  expect(log.isEnabled("info")).toBe(false);
});

test("a warning that is to be said once is said once, whoever says it, for each of its facts", () => {
  const said: unknown[] = [];
  const log = createLogger({ sink: ({ message, level, n }) => said.push([level, message, n]) });
  for (const each of [log, log.child({ target: "other", fields: { more: 1 } })]) {
    for (const n of [1, 2n, 2n, undefined]) each.warnOnce({ n }, "here");
    each.warnOnce({ n: 1 }, "there");
    each.warn({ n: 1 }, "here");
  }
  expect(said).toEqual([
    ["WARN", "here", 1],
    ["WARN", "here", expect.toSatisfy((n) => String(n) === "2")],
    ["WARN", "here", undefined],
    ["WARN", "there", 1],
    ["WARN", "here", 1],
    ["WARN", "here", 1],
  ]);
});

describe("levels of events", () => {
  test("are INFO, DEBUG for an attempt, unless the list says otherwise, the last one winning", () => {
    expect(parseLogEvents("")).toEqual({
      ...Object.fromEntries(logEvents.map((name) => [name, "info"])),
      route_request: "debug",
    });
    expect(
      parseLogEvents(" request_received = DEBUG ,, route_request=0, route_request=2,http_response_sent=off"),
    ).toMatchObject({
      request_received: "debug",
      request_completed: "info",
      route_request: "warn",
      http_response_sent: undefined,
    });
  });

  test.each([
    ["nope=info", 'unknown event "nope" in "nope=info", expected request_received, '],
    ["request_received", 'unknown log level "" in "request_received", expected off, error, '],
    ["request_received=loud", 'unknown log level "loud"'],
    ["request_received=info=debug", 'unknown log level "info=debug"'],
  ])("%j is refused by name", (directives, message) => {
    expect(() => parseLogEvents(directives)).toThrow(message);
  });

  test("move the line, which the filter then judges", () => {
    const records: Record<string, unknown>[] = [];
    const events = parseLogEvents("request_received=debug,request_completed=warn,route_request=off");
    const log = createLogger({ sink: (record) => records.push(record), events });
    for (const event of logEvents) log.event(event, {}, event);
    expect(records.map(({ level, message }) => `${String(level)} ${String(message)}`)).toEqual([
      "WARN request_completed",
      "INFO http_response_sent",
      "INFO http_response_finished",
    ]);
    expect(logEvents.filter((event) => log.isEnabled(event))).toEqual([
      "request_completed",
      "http_response_sent",
      "http_response_finished",
    ]);
  });
});

describe("sampling by request id", () => {
  test("hashes as documented, whoever computes it", () => {
    expect(hashRequestId("0f4ac56e-5bd1-4657-bf8b-39cdcde9036b")).toBe(2644076783);
    expect(hashRequestId("00000000-0000-4000-8000-000000000001")).toBe(1464678070);
    expect(hashRequestId("")).toBe(2872998923);
  });

  test("keeps its share of random ids and of ids in sequence, and at a higher ratio all it kept at a lower one", () => {
    const random = fc.sample(fc.uuid(), { numRuns: 20_000, seed: 1 });
    const sequence = Array.from(
      { length: 20_000 },
      (_, index) => `00000000-0000-4000-8000-${String(index).padStart(12, "0")}`,
    );
    for (const ids of [random, sequence]) {
      let before = new Set<string>();
      for (const ratio of [0, 0.01, 0.25, 0.5, 0.9, 1]) {
        const kept = new Set(ids.filter(createLogSampler(ratio)));
        expect(Math.abs(kept.size / ids.length - ratio)).toBeLessThan(0.015); // over four standard deviations
        expect([...before].filter((id) => !kept.has(id))).toEqual([]);
        before = kept;
      }
    }
  });

  test("silences a request below WARN in all its children, and asks once for each request", () => {
    const records: Record<string, unknown>[] = [];
    const asked: string[] = [];
    const isLogged = (requestId: string): boolean => asked.push(requestId) > 0 && requestId === "kept";
    const log = createLogger({ sink: (record) => records.push(record), filter: parseLogFilter("trace"), isLogged });
    for (const requestId of ["kept", "dropped"]) {
      const fields = (): { request_id: string } => ({ request_id: requestId });
      const request = log.child({ requestId, fields });
      const deep = request.child({ target: "deep" }).child({ fields: { a: 1 } });
      for (const level of levels) deep[level]({}, level);
      deep.event("request_completed", {}, "event");
      expect(deep.isEnabled("info")).toBe(requestId === "kept");
      expect(deep.isEnabled("warn")).toBe(true);
    }
    log.trace({}, "no request");
    const told = (requestId: string | undefined): unknown[] =>
      records.filter((record) => record["request_id"] === requestId).map(({ message }) => message);
    expect(told("kept")).toEqual([...levels, "event"]);
    expect(told("dropped")).toEqual(["warn", "error"]);
    expect(told(undefined)).toEqual(["no request"]);
    expect(asked).toEqual(["kept", "dropped"]);
  });

  test("never builds the fields of a silenced line", () => {
    const log = createLogger({ sink: () => undefined, isLogged: () => false });
    let asked = 0;
    const request = log.child({ requestId: "x", fields: () => ({ asked: (asked += 1) }) });
    request.info({}, "quiet");
    request.event("request_received", {}, "quiet");
    expect(asked).toBe(0);
    request.warn({}, "loud");
    expect(asked).toBe(1);
  });
});
