import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { levels, parseLogFilter } from "../packages/runtime/src/logging/filter.ts";
import { createTimeFormat, formatReadable, toRecord } from "../packages/runtime/src/logging/format.ts";
import { createLogger } from "../packages/runtime/src/logging/logger.ts";
import { openLogWriter, type LogStream } from "../packages/runtime/src/logging/writer.ts";
import { startProgram } from "./cluster.ts";

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
    ["off", "request_span", "trace"],
    ["request_span=off", "request_span", "off"],
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
    expect(formatReadable("T", record)).toBe("T  WARN t: got: \\u001b[31m\\u009b31m\\u000d\\u000aforged\\u2028\n");
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

test("readable lines are the default and carry the same facts", async () => {
  await using program = startProgram("dyn-mock-worker", ["--discovery-backend", "mem"], { DYN_LOGGING_JSONL: "0" });
  while (!program.stderr().includes("\n")) await new Promise((resolve) => program.child.stderr?.once("data", resolve));
  expect(program.stderr()).toMatch(
    /^\S+Z {2}INFO dyn_runtime: endpoint is serving address=127\.0\.0\.1:\d+ endpoint=dynamo\/backend\/generate instance_id=\d+\n$/,
  );
});

interface Reader {
  readonly stream: LogStream;
  readonly lines: string[];
  read(): void;
}

// A stream whose reader takes something only when told to.
function slowReader(): Reader {
  const waiting: { text: string; callback: (() => void) | undefined }[] = [];
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
        callback?.();
      }
    },
  };
}

test("what a slow reader cannot take is dropped, counted, and announced once there is room", async () => {
  const reader = slowReader();
  using writer = openLogWriter({ jsonl: true, stream: reader.stream, maxQueuedBytes: 1_000 });
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
  expect(notice).toMatchObject({ level: "WARN", target: "dyn_runtime::logging", message: "log lines dropped", dropped_lines: 100 - kept });
  expect(after).toMatchObject({ message: "after" });
});

test("a flush waits for its reader, but not for ever", async () => {
  const reader = slowReader();
  using writer = openLogWriter({ jsonl: false, stream: reader.stream });
  writer.write({ level: "INFO", target: "t", message: "m" });
  await writer.flush(5);
  expect(reader.lines).toEqual([]);
});
