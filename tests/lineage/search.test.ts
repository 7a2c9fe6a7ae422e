// Finding lines: in bytes cut anywhere, in lines that other programs wrote into, in files of which most is of no interest.
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import type { Source } from "../../packages/lineage/src/logs/packing.ts";
import { scanSource } from "../../packages/lineage/src/logs/scan.ts";
import { traceRequests } from "../../packages/lineage/src/trace-command.ts";
import { problemsOf, readRecording, toBytes, traceBytes } from "./recordings.ts";

async function* cutAt(bytes: Buffer, sizes: readonly number[]): AsyncGenerator<Buffer, void, void> {
  let start = 0;
  for (const size of sizes) {
    if (start >= bytes.length) break;
    yield Buffer.from(bytes.subarray(start, start + size));
    start += size;
  }
  if (start < bytes.length) yield Buffer.from(bytes.subarray(start));
}

function toSource(bytes: Buffer, sizes: readonly number[]): Source {
  return { name: "log", packing: undefined, isCut: false, read: () => cutAt(bytes, sizes) };
}

async function scan(
  source: Source,
  ...needles: string[]
): Promise<{ found: string[]; bytes: number; lines: number; tooLong: number }> {
  const found: string[] = [];
  const result = await scanSource(source, {
    needles: needles.map((needle) => Buffer.from(needle)),
    onLine: (line, place) => found.push(`${place} ${line}`),
  });
  return { found, ...result };
}

describe("a scan", () => {
  test("finds every line with a needle once, with its number, however the bytes are cut", async () => {
    const lines = fc.array(fc.string({ unit: fc.constantFrom("a", "b", "x", "ä", "😀", "\r") }), { maxLength: 30 });
    await fc.assert(
      fc.asyncProperty(lines, fc.boolean(), fc.array(fc.integer({ min: 1, max: 9 })), async (lines, ends, sizes) => {
        const text = lines.join("\n") + (ends ? "\n" : "");
        const bytes = Buffer.from(text);
        const expected = lines.flatMap((line, index) => (/ab|😀/.test(line) ? `log:${index + 1} ${line}` : []));
        const { found, bytes: read } = await scan(toSource(bytes, sizes), "ab", "😀");
        expect(found.toSorted()).toEqual(expected.toSorted());
        expect(read).toBe(bytes.length);
      }),
    );
  });

  test("counts a line of more than 16 MiB, does not keep it, and goes on", async () => {
    const long = Buffer.alloc(17 * 1024 * 1024, "x");
    const bytes = Buffer.concat([Buffer.from("one ab\n"), long, Buffer.from("ab\ntwo ab\n")]);
    const source = toSource(
      bytes,
      Array.from({ length: 30 }, () => 1024 * 1024),
    );
    expect(await scan(source, "ab")).toMatchObject({
      found: ["log:1 one ab", "log:3 two ab"],
      bytes: bytes.length,
      lines: 3,
      tooLong: 1,
    });
  });
});

describe("the lines of a log", () => {
  test("may begin with what a collector puts there", async () => {
    const text = toBytes(readRecording("stream")).toString();
    const prefixed = text.replace(/^/gm, "2026-11-24T15:44:14Z stderr F [pod/worker-0] ").replace(/\n[^{]*$/, "\n");
    expect((await traceBytes("stream", Buffer.from(prefixed))).isWhole).toBe(true);
  });

  test("may be broken or of another kind: those that mention the id are skipped and counted", async () => {
    const text = toBytes(readRecording("stream")).toString();
    const broken = `{"message":"cut off","x_request_id":"stream\nreadable line x_request_id="stream"\nnothing\n{"x_request_id":"stream"} }\n`;
    const traced = await traceBytes("stream", Buffer.from(broken + text));
    expect(traced.isWhole).toBe(true);
    expect(traced.remarks.slice(1)).toEqual(["3 broken lines that mention the id were skipped"]);
  });

  test("may say that lines were dropped", async () => {
    const notice = `{"level":"WARN","target":"dyn_runtime::logging","message":"log lines dropped","dropped_lines":7}\n`;
    const traced = await traceBytes("stream", Buffer.concat([Buffer.from(notice), toBytes(readRecording("stream"))]));
    expect(traced.remarks.slice(1)).toEqual([
      "7 lines could not be written by the processes themselves, as their logs say",
    ]);
  });

  test("may have a client's id with quotes and backslashes in it", async () => {
    const id = String.raw`a"b\c/'{}`;
    const lines = readRecording("unary").map(({ file, fields }) => ({ file, fields: { ...fields, x_request_id: id } }));
    expect((await traceBytes(id, toBytes(lines))).isWhole).toBe(true);
  });
});

describe("several requests with one client id", () => {
  const many = Array.from({ length: 12 }, (_, index) => {
    const suffix = index.toString(16);
    const text = JSON.stringify(readRecording("unary")).replace(
      /"(\w*span_id|parent_id|request_id|trace_id)":"./g,
      `"$1":"${suffix}`,
    );
    return (JSON.parse(text) as ReturnType<typeof readRecording>).map(({ file, fields }) => ({
      file,
      fields: {
        ...fields,
        x_request_id: "same",
        time: String(fields["time"]).replace(/T\d\d/, `T${String(index).padStart(2, "0")}`),
      },
    }));
  });

  test("are all told apart, and the latest are looked at", async () => {
    const traced = await traceBytes("same", toBytes(many.toReversed().flat()), 10);
    expect(traced.isWhole).toBe(true);
    expect(traced.trees.map(({ request_id: id }) => id[0])).toEqual("23456789ab".split(""));
    expect(traced.remarks).toContain("2 earlier requests have this id and were not looked at (--limit)");
  });

  test("are listed before their pictures", async () => {
    const printed: string[] = [];
    const input = cutAt(toBytes(many.flat()), []);
    const options = { files: ["-"], json: false, limit: 2, columns: 100, color: false, input, remark: () => undefined };
    expect(await traceRequests({ id: "same", ...options, print: (text) => printed.push(text) })).toBe(true);
    const text = printed.join("");
    expect(text).toMatch(
      /^12 requests have this id, the latest 2 are drawn \(--limit\):\n(?: {2}2026-11-24T\d\d:\S+ {2}\S{36}\n){12}─/,
    );
    expect(text.match(/the lineage is whole/g)).toHaveLength(2);
  });
});

test("an unknown id says where was looked, and what readable logs are missing", async () => {
  await expect(traceBytes("nobody", toBytes(readRecording("stream")))).rejects.toThrow(
    /^no JSON line in 1 log \(\d+ bytes\) has the id nobody$/,
  );
  await expect(traceBytes("abc", Buffer.from("INFO request_id=abc\n"))).rejects.toThrow(
    /1 line mentions it, but is no JSON/,
  );
  const notice = "WARN dyn_runtime::logging: log lines dropped dropped_lines=4\n";
  await expect(traceBytes("abc", Buffer.from(notice))).rejects.toThrow(/has the id abc$/);
});

test("one of each kind is told as one", async () => {
  const lines = toBytes(readRecording("stream")).toString();
  const notice = `{"time":"2026-11-24T16:15:46.183173Z","level":"WARN","target":"dyn_runtime::logging","message":"log lines dropped","dropped_lines":1}\n`;
  const twice = JSON.stringify(readRecording("unary")).replace(
    /"(\w*span_id|parent_id|request_id|trace_id)":"./g,
    `"$1":"f`,
  );
  const requests = [...readRecording("unary"), ...(JSON.parse(twice) as ReturnType<typeof readRecording>)];
  const remarks = [
    ...(await traceBytes("stream", Buffer.from(`${notice}x="stream"\n${lines}`))).remarks,
    ...(await traceBytes("unary", toBytes(requests), 1)).remarks,
  ];
  expect(remarks).toEqual([
    expect.stringMatching(/^stdin: JSONL, 9 lines, 8 of dyn, 7 of this request$/),
    "1 broken line that mentions the id was skipped",
    "1 line could not be written by the processes themselves, as their logs say",
    expect.stringMatching(/^stdin: .* 6 of these requests$/),
    "1 earlier request has this id and was not looked at (--limit)",
  ]);
});

test("lines without a readable time are listed all the same", async () => {
  const lines = readRecording("unary").map(({ file, fields }) => ({ file, fields: { ...fields, time: "noon" } }));
  const other = JSON.stringify(lines).replace(/"(\w*span_id|parent_id|request_id|trace_id)":"./g, `"$1":"f`);
  const printed: string[] = [];
  const input = cutAt(toBytes([...lines, ...(JSON.parse(other) as typeof lines)]), []);
  const options = { files: ["-"], json: false, limit: 2, columns: 100, color: false, input, remark: () => undefined };
  await traceRequests({ id: "unary", ...options, print: (text) => printed.push(text) });
  expect(printed.join("")).toMatch(/^2 requests have this id:\n(?: {2}\? {23} {2}\S{36}\n){2}/);
});

test("the id of an answer stands for its request", async () => {
  const lines = readRecording("unary");
  const traced = await traceBytes(`chatcmpl-${String(lines[0]?.fields["request_id"])}`, toBytes(lines));
  expect(problemsOf(traced)).toBe("");
  expect(traced.trees).toHaveLength(1);
});
