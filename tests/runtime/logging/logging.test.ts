import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { logEvents, parseLogEvents } from "../../../packages/runtime/src/logging/events.ts";
import { levels, parseLogFilter } from "../../../packages/runtime/src/logging/filter.ts";
import {
  createTimeFormat,
  formatJsonLine,
  formatReadable,
  toRecord,
} from "../../../packages/runtime/src/logging/format.ts";
import { createLogger } from "../../../packages/runtime/src/logging/logger.ts";
import { createLogSampler, hashRequestId } from "../../../packages/runtime/src/logging/sampling.ts";
import { createStreamOutput, type LogStream } from "../../../packages/runtime/src/logging/output.ts";
import { openLogWriter } from "../../../packages/runtime/src/logging/writer.ts";
import { startProgram } from "../../support/cluster.ts";
import { parseJsonLine, parseReadableLine } from "../../support/log-lines.ts";

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

describe("a record", () => {
  test("has the reserved keys first, then the rest in order", () => {
    const record = toRecord("info", "t", "m", { b: 1, a: "x" }, { c: true });
    expect(JSON.stringify(record)).toBe('{"level":"INFO","target":"t","message":"m","a":"x","b":1,"c":true}');
  });

  test("keeps bound ids and reserved keys whatever a caller's fields are called", () => {
    const record = toRecord("warn", "t", "m", { request_id: "forged", level: "evil", time: 0 }, { request_id: "real" });
    expect(record).toMatchObject({ level: "WARN", request_id: "real", "field.level": "evil", "field.time": 0 });
  });

  test("takes any value without throwing and always becomes one line", () => {
    const cycle: Record<string, unknown> = {};
    cycle["self"] = cycle;
    fc.assert(
      fc.property(fc.dictionary(fc.string(), fc.anything()), (fields) => {
        const record = toRecord("info", "t", "m", { ...fields, cycle, big: 2n ** 64n }, {});
        const parsed: unknown = JSON.parse(JSON.stringify(record));
        expect(parsed).toMatchObject({ level: "INFO", target: "t", message: "m", big: "18446744073709551616" });
        const readable = formatReadable("T", record);
        expect(readable.split("\n")).toHaveLength(2);
        expect(readable).not.toMatch(/[\u0000-\u0009\u000b-\u001f\u007f-\u009f]/u);
      }),
    );
  });

  test("in readable form keeps a terminal's control characters out of its message", () => {
    const record = toRecord("warn", "t", "got: \u001b[31m\u009b31m\r\nforged\u2028", {}, {});
    expect(formatReadable("T", record)).toBe('T  WARN t: "got: \\u001b[31m\\u009b31m\\r\\nforged\\u2028"\n');
  });

  test("of any text is one line for every reader, and says the same when read again", () => {
    const time = "2026-08-21T01:14:11.069507Z";
    const text = fc.string({
      unit: fc.oneof(
        fc.constantFrom(
          ...Array.from(
            ' ="\\\n\r\t\u001b\u007f\u0085\u009b\u2028\u202e\u200f\u061c\u00ad\ufeff\u200d\ufe0f\u{e0041}{}❤ب',
          ),
        ),
        fc.string({ unit: "grapheme", maxLength: 2 }),
      ),
    });
    // JSON.parse of Node.js 24.21 now and then reads a key of one escaped character ("\\n") as a backslash: such keys would test V8.
    const key = text.filter(
      (name) => name !== "" && name !== "__proto__" && (name.length > 1 || JSON.stringify(name).length === 3),
    );
    fc.assert(
      fc.property(fc.dictionary(key, text), text, (fields, message) => {
        const record = toRecord("info", "t", message, fields, {});
        const expected = new Map<string, unknown>([["time", time], ...Object.entries(record)]);
        const [json, readable] = [formatJsonLine(time, record), formatReadable(time, record)];
        for (const line of [json, readable])
          expect(line.slice(0, -1)).not.toMatch(/[\p{Cc}\p{Zl}\p{Zp}\p{Bidi_Control}\u00ad\ufeff\u{e0000}-\u{e0fff}]/u);
        expect(parseJsonLine(json.slice(0, -1)).values).toEqual(expected);
        expect(parseReadableLine(readable.slice(0, -1)).values).toEqual(expected);
      }),
    );
  });

  test("has a time of RFC 3339 with microseconds", () => {
    const formatTime = createTimeFormat();
    expect(formatTime(Date.UTC(2026, 7, 21, 1, 14, 11, 69) + 0.507)).toMatch(/^2026-08-21T01:14:11\.06950[67]Z$/);
    expect(formatTime(Date.UTC(2026, 7, 21, 1, 14, 11, 999))).toBe("2026-08-21T01:14:11.999000Z");
    expect(formatTime(Date.UTC(2026, 7, 21, 1, 14, 12))).toBe("2026-08-21T01:14:12.000000Z");
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
    const request = log.child({
      requestId: "x",
      fields: () => {
        throw new Error("asked");
      },
    });
    request.info({}, "quiet");
    request.event("request_received", {}, "quiet");
    expect(() => request.warn({}, "loud")).toThrow("asked");
  });
});

test("readable lines are the default and carry the same facts", async () => {
  await using program = startProgram("dyn-mock-worker", ["--discovery-backend", "mem"], { DYN_LOGGING_JSONL: "0" });
  while (!program.stderr().includes("\n")) await new Promise((resolve) => program.child.stderr?.once("data", resolve));
  expect(program.stderr().split("\n")[0]).toMatch(
    /^\S+Z {2}INFO dyn_runtime: endpoint is serving address=127\.0\.0\.1:\d+ discovery=mem endpoint=dynamo\/backend\/generate instance_id=\d+$/,
  );
});

interface Reader {
  readonly stream: LogStream;
  readonly lines: string[];
  read(): void;
}

// A stream whose reader takes something only when told to.
function slowReader(): Reader {
  const waiting: { text: string; callback: () => void }[] = [];
  const lines: string[] = [];
  return {
    lines,
    stream: {
      write(text, callback) {
        waiting.push({ text, callback });
        return false;
      },
      get writableLength() {
        return waiting.reduce((sum, { text }) => sum + text.length, 0);
      },
      on: () => undefined,
      listeners: () => [],
    },
    read() {
      for (const { text, callback } of waiting.splice(0)) {
        lines.push(...text.trimEnd().split("\n"));
        callback();
      }
    },
  };
}

test("what a slow reader cannot take is dropped, counted, and announced once there is room", async () => {
  const reader = slowReader();
  using writer = openLogWriter({
    jsonl: true,
    now: Date.now,
    output: createStreamOutput(reader.stream),
    maxQueuedBytes: 1_000,
  });
  const write = (text: string): void => writer.write({ level: "INFO", target: "t", message: text });
  for (let index = 0; index < 100; index += 1) write(`line ${index}`);
  const flushed = writer.flush(10_000);
  reader.read();
  await flushed;
  const kept = reader.lines.length;
  expect(kept).toBeGreaterThan(5);
  expect(kept).toBeLessThan(20);
  write("after");
  const again = writer.flush(10_000);
  reader.read();
  await again;
  const [notice, after] = reader.lines.slice(kept).map((line) => JSON.parse(line) as Record<string, unknown>);
  expect(notice).toMatchObject({
    level: "WARN",
    target: "dyn_runtime::logging",
    message: "log lines dropped",
    dropped_lines: 100 - kept,
  });
  expect(after).toMatchObject({ message: "after" });
});

test("a flush waits for its reader, but not for ever", async () => {
  const reader = slowReader();
  using writer = openLogWriter({ jsonl: false, now: Date.now, output: createStreamOutput(reader.stream) });
  writer.write({ level: "INFO", target: "t", message: "m" });
  await writer.flush(5);
  expect(reader.lines).toEqual([]);
});
