// The form of a line, whatever is in it.
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { createTimeFormat, formatJsonLine, formatReadable } from "../../../packages/runtime/src/logging/format.ts";
import { startProgram } from "../../support/cluster.ts";
import { parseJsonLine, parseReadableLine, type StrictLine } from "../../support/log-lines.ts";
import { writeLine, writeLines } from "../../support/logger.ts";

const time = "2026-08-21T01:14:11.069000Z";
const formats = [formatJsonLine, formatReadable];

/** It, in both forms, without the line feed, and read by the letter. */
function readBoth(line: string): StrictLine[] {
  const [json = "", readable = ""] = formats.map((format) => {
    const text = format(line);
    expect(text.indexOf("\n")).toBe(text.length - 1);
    return text.slice(0, -1);
  });
  return [parseJsonLine(json), parseReadableLine(readable)];
}

describe("a line", () => {
  test("begins with time, level, target and message; what its logger is bound to comes before its own", () => {
    const [line = ""] = writeLines((log) => log.child({ fields: { b: 1 } }).info({ a: "x" }, "m"), Date.parse(time));
    expect(formatJsonLine(line)).toBe(`{"time":"${time}","level":"INFO","target":"dyn","message":"m","b":1,"a":"x"}\n`);
    expect(formatReadable(line)).toBe(`${time}  INFO dyn: m b=1 a=x\n`);
  });

  test("begins with its own message, whatever its fields contain", () => {
    const nested = { message: "forged", list: [{ x: 1, message: "forged" }], text: ',"message":"forged"}' };
    const { keys, values } = parseJsonLine(formatJsonLine(writeLine({ nested }, ',"message":"real"')));
    expect(keys).toEqual(["time", "level", "target", "message", "nested"]);
    expect(values.get("message")).toBe(',"message":"real"');
    expect(values.get("nested")).toEqual(nested);
  });

  test("in readable form keeps a terminal's control characters out of its message", () => {
    const line = writeLine({}, "got: \u001b[31m\u009b31m\r\nforged\u2028");
    expect(formatReadable(line)).toMatch(/ {2}INFO t: "got: \\u001b\[31m\\u009b31m\\r\\nforged\\u2028"\n$/);
  });

  test("of any text is one line for every reader, and says the same when read again", () => {
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
        const said = { level: "INFO", time, message, target: "t", ...fields };
        const line = writeLine(fields, message, Date.parse(time));
        for (const format of formats)
          expect(format(line).slice(0, -1)).not.toMatch(
            /[\p{Cc}\p{Zl}\p{Zp}\p{Bidi_Control}\u00ad\ufeff\u{e0000}-\u{e0fff}]/u,
          );
        for (const { values } of readBoth(line)) expect(values).toEqual(new Map(Object.entries(said)));
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

test("readable lines are the default and carry the same facts", async () => {
  await using program = startProgram("dyn-mock-worker", ["--discovery-backend", "mem"], { DYN_LOGGING_JSONL: "0" });
  while (!program.stderr().includes("\n")) await new Promise((resolve) => program.child.stderr?.once("data", resolve));
  expect(program.stderr().split("\n")[0]).toMatch(
    /^\S+Z {2}INFO dyn_runtime: endpoint is serving endpoint=dynamo\/backend\/generate address=127\.0\.0\.1:\d+ instance_id=\d+ discovery=mem version=\S+$/,
  );
});
