// Logs that somebody has wrapped: docker's json-file, journald, and the container runtimes of kubernetes.
import { Readable } from "node:stream";
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { scanSource } from "../../packages/lineage/src/logs/scan.ts";
import { createUnwrapper } from "../../packages/lineage/src/logs/unwrap.ts";
import { problemsOf, readRecording, toBytes, traceBytes, type RecordedLine } from "./recordings.ts";

const recording = readRecording("stream");
const isOfWorker = ({ fields }: RecordedLine): boolean => fields["span_name"] === "handle_payload";
const wholeLog = toBytes(recording);
const text = (line: RecordedLine): string => JSON.stringify(line.fields);
const lines = recording.map(text);

function toDocker(lines: readonly string[], maxChars = 16_384): string {
  const entries = lines.flatMap((line) => `${line}\n`.match(new RegExp(`[^]{1,${maxChars}}`, "g")) ?? []);
  return entries
    .map((log) => `${JSON.stringify({ log, stream: "stderr", time: "2026-11-27T17:23:24.457250123Z" })}\n`)
    .join("");
}

function toJournal(messages: readonly unknown[], more: object = {}): string {
  return messages
    .map(
      (MESSAGE) =>
        `${JSON.stringify({ __CURSOR: "s=1", PRIORITY: "6", MESSAGE, _PID: "7", _TRANSPORT: "stdout", ...more })}\n`,
    )
    .join("");
}

function toCri(lines: readonly string[], maxChars: number): string {
  return lines
    .map((line) => {
      const parts = line.match(new RegExp(`[^]{1,${maxChars}}`, "g")) ?? [];
      return parts
        .map((part, index) => `2026-11-27T17:23:24.457250123Z stderr ${index < parts.length - 1 ? "P" : "F"} ${part}\n`)
        .join("");
    })
    .join("");
}

describe("logs that somebody has wrapped", () => {
  test.each<[string, string]>([
    ["docker json-file", toDocker(lines)],
    ["docker json-file", toDocker(lines, 50)],
    ["docker json-file", toDocker(lines).replaceAll(String.raw`\n","stream"`, '","stream"')],
    ["journald JSON", toJournal(lines)],
    ["journald JSON", toJournal(lines.map((line) => [...Buffer.from(line)]))],
    ["journald JSON", toJournal(lines).replaceAll(/^\{(.*),("MESSAGE":.*)\}$/gm, "{$2,$1}")],
    ["CRI", toCri(lines, 1e9)],
    ["CRI", toCri(lines, 50)],
  ])("as %s are read as what they are (%#)", async (form, wrapped) => {
    const traced = await traceBytes("stream", Buffer.from(wrapped));
    expect(problemsOf(traced)).toBe("");
    expect(traced.isWhole).toBe(true);
    expect(traced.remarks[0]).toContain(`stdin: ${form}, `);
    expect(traced.remarks[0]).toContain(`${lines.length} of dyn, ${lines.length} of this request`);
  });

  test("are joined however the bytes are cut", async () => {
    const bytes = Buffer.from(toDocker(lines, 300) + toCri(lines, 300));
    await fc.assert(
      fc.asyncProperty(fc.array(fc.integer({ min: 1, max: 2_000 })), async (sizes) => {
        const chunks = [...sizes, bytes.length].reduce<[number, Buffer[]]>(
          ([start, cut], size) => [start + size, [...cut, Buffer.from(bytes.subarray(start, start + size))]],
          [0, []],
        )[1];
        const found: string[] = [];
        const source = { name: "log", packing: undefined, isCut: false, read: () => Readable.from(chunks) };
        const { dynLines } = await scanSource(source, {
          needles: [Buffer.from("span_name")],
          onLine: (line) => found.push(line),
        });
        expect(found).toEqual([...lines, ...lines]);
        expect(dynLines).toBe(2 * lines.length);
      }),
    );
  });

  test("and that docker has split right behind a closing brace are joined", async () => {
    const [first = "", ...others] = lines;
    const filled = (count: number): string => `{"seen":{"fill":"${"x".repeat(count)}"},${first.slice(1)}`;
    const wrapped = toDocker([filled(16_384 - filled(0).indexOf("},") - 1), ...others]);
    expect(wrapped).toMatch(/^\{"log":"[^\n]*x\\"\}","stream"/); // the first piece
    const traced = await traceBytes("stream", Buffer.from(wrapped));
    expect(problemsOf(traced)).toBe("");
    expect(traced.isWhole).toBe(true);
  });

  test("and that journald has split are joined, each in its own stream", async () => {
    const [first = "", ...others] = lines;
    const part = (MESSAGE: string, more: object): string => toJournal([MESSAGE], { _STREAM_ID: "a", ...more });
    const split = [
      part(first.slice(0, 100), { _LINE_BREAK: "line-max" }),
      part("a line of somebody else", { _STREAM_ID: "b" }),
      part("a line of the other stream of a container", { PRIORITY: "3" }),
      part(first.slice(100, 200), { CONTAINER_PARTIAL_MESSAGE: "true" }),
      part(first.slice(200), {}),
    ];
    const traced = await traceBytes("stream", Buffer.from(split.join("") + toJournal(others)));
    expect(problemsOf(traced)).toBe("");
    expect(traced.isWhole).toBe(true);
  });

  test("and of which journalctl has left out what is long are told how to be had whole", async () => {
    const traced = await traceBytes("stream", Buffer.from(toJournal([null, ...lines])));
    expect(traced.remarks[0]).toContain("1 long message left out by journalctl (--all keeps them)");
  });

  test("keep the number of each line: it stands where its last part stood", () => {
    const worker = recording.filter(isOfWorker).map(text);
    const wrapped = toDocker(["x".repeat(40_000), ...worker]); // three parts
    const unwrapper = createUnwrapper();
    expect(unwrapper.unwrap(Buffer.from(wrapped)).toString()).toBe(`\n\n${"x".repeat(40_000)}\n${worker.join("\n")}\n`);
    expect(unwrapper.met).toMatchObject({ lines: 3 + worker.length, dynLines: worker.length });
  });

  test("may stand beside plain ones in one log", async () => {
    const worker = recording.filter(isOfWorker).map(text);
    const frontend = recording.filter((line) => !isOfWorker(line)).map(text);
    const mixed = `${frontend.slice(0, 2).join("\n")}\nnpm warn something\n${toDocker(frontend.slice(2))}${toJournal(worker)}`;
    const traced = await traceBytes("stream", Buffer.from(mixed));
    expect(problemsOf(traced)).toBe("");
    expect(traced.remarks[0]).toMatch(/^stdin: JSONL and docker json-file and journald JSON, /);
  });

  test("without an end do not take the memory, and are told", async () => {
    const unwrapper = createUnwrapper();
    const entries = toDocker(["x".repeat(1_000_000)]).split("\n");
    const parts = Buffer.from(`${entries.slice(0, -2).join("\n")}\n`); // without the last one
    for (let index = 0; index < 40; index += 1) unwrapper.unwrap(parts);
    expect(unwrapper.met.tooLong).toBe(2);
    expect(unwrapper.unwrap(Buffer.from(toDocker(["end"]))).length).toBeLessThan(16 * 1024 * 1024);
    const traced = await traceBytes("stream", Buffer.concat([wholeLog, parts]));
    expect(traced.remarks[0]).toContain("its end is missing");
  });

  test("in two forms are one line, which a note tells", async () => {
    const traced = await traceBytes(
      "stream",
      Buffer.from(`${lines.join("\n")}\n${toDocker(lines)}${toJournal(lines)}`),
    );
    expect(traced.isWhole).toBe(true);
    expect(problemsOf(traced)).toMatch(/^note 7 lines are there more than once and taken as one: /);
  });
});
