// The writer and a reader who takes his time.
import { expect, test } from "vitest";
import { createStreamOutput, type LogStream } from "../../../packages/runtime/src/logging/output.ts";
import { openLogWriter } from "../../../packages/runtime/src/logging/writer.ts";
import { writeLine } from "../../support/logger.ts";

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
  const write = (text: string): void => writer.write(writeLine({}, text));
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

test("as many as a process has are no leak to Node.js", () => {
  const most = process.getMaxListeners();
  const output = createStreamOutput(slowReader().stream);
  const writers = Array.from({ length: 12 }, () => openLogWriter({ jsonl: true, now: Date.now, output }));
  expect(process.listenerCount("exit")).toBeLessThanOrEqual(process.getMaxListeners());
  for (const writer of writers) writer[Symbol.dispose]();
  expect(process.getMaxListeners()).toBe(most);
});

test("a flush waits for its reader, but not for ever", async () => {
  const reader = slowReader();
  using writer = openLogWriter({ jsonl: false, now: Date.now, output: createStreamOutput(reader.stream) });
  writer.write(writeLine({}, "m"));
  await writer.flush(5);
  expect(reader.lines).toEqual([]);
});
