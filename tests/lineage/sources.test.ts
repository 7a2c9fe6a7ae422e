// Logs in every form in which people have them at hand: what is read only once, what is packed, what a container or a service has wrapped.
import { execFileSync } from "node:child_process";
import {
  appendFileSync,
  createWriteStream,
  readdirSync,
  renameSync,
  statSync,
  symlinkSync,
  truncateSync,
  writeFileSync,
} from "node:fs";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Readable } from "node:stream";
import { pipeline } from "node:stream/promises";
import { gzipSync, zstdCompressSync } from "node:zlib";
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { openSources } from "../../packages/lineage/src/logs/sources.ts";
import { createSpool } from "../../packages/lineage/src/logs/spool.ts";
import {
  problemsOf,
  readRecording,
  toBytes,
  traceBytes,
  traceFiles,
  type RecordedLine,
  type Traced,
} from "./recordings.ts";

const recording = readRecording("stream");
const isOfWorker = ({ fields }: RecordedLine): boolean => fields["span_name"] === "handle_payload";
const frontendLog = toBytes(recording.filter((line) => !isOfWorker(line)));
const workerLog = toBytes(recording.filter(isOfWorker));
const wholeLog = toBytes(recording);
const requestId = String(recording[0]?.fields["request_id"]);

async function openDirectory(): Promise<{ path: string } & AsyncDisposable> {
  const path = await mkdtemp(join(tmpdir(), "dyn-lineage-"));
  return { path, [Symbol.asyncDispose]: () => rm(path, { recursive: true, force: true, maxRetries: 5 }) };
}

async function readAll(chunks: AsyncIterable<Uint8Array>): Promise<Buffer> {
  const copies: Buffer[] = [];
  for await (const chunk of chunks) copies.push(Buffer.from(chunk));
  return Buffer.concat(copies);
}

/** Write `contents` to files of these names, and trace them. */
async function traceAll(contents: Readonly<Record<string, Uint8Array>>, id = requestId): Promise<Traced> {
  await using directory = await openDirectory();
  const files = Object.entries(contents).map(([name, bytes]) => {
    writeFileSync(join(directory.path, name), bytes);
    return join(directory.path, name);
  });
  const traced = await traceFiles(id, files);
  return { ...traced, remarks: traced.remarks.map((text) => text.replaceAll(`${directory.path}/`, "")) };
}

describe("what can be read only once", () => {
  test("is kept as it came, in memory up to a limit, and beyond it in a file of its owner that has no name", async () => {
    const chunks = fc.array(fc.uint8Array({ maxLength: 20 }), { maxLength: 20 });
    await using directory = await openDirectory();
    await fc.assert(
      fc.asyncProperty(chunks, chunks, fc.nat(100), async (first, second, maxBytes) => {
        await using spool = createSpool({ maxBytes, directory: directory.path });
        const kept = await Promise.all([first, second].map((stream) => spool.keep(Readable.from(stream))));
        expect(readdirSync(directory.path)).toEqual([]);
        for (const _ of ["once", "again"]) {
          expect(await readAll(kept[0]?.() ?? Readable.from([]))).toEqual(Buffer.concat(first));
          expect(await readAll(kept[1]?.() ?? Readable.from([]))).toEqual(Buffer.concat(second));
        }
      }),
    );
    await using spool = createSpool({ maxBytes: 0, directory: directory.path });
    await spool.keep(Readable.from([Buffer.from("secret")]));
    const modes = readdirSync("/proc/self/fd").flatMap((fd) => {
      const stats = statSync(`/proc/self/fd/${fd}`, { throwIfNoEntry: false });
      return stats?.isFile() && stats.nlink === 0 && stats.size === 6 ? (stats.mode & 0o777).toString(8) : [];
    });
    expect(modes).toEqual(["600"]);
  });

  test("names the directory that could not keep it", async () => {
    await using spool = createSpool({ maxBytes: 0, directory: "/nowhere" });
    await expect(spool.keep(Readable.from([Buffer.from("x")]))).rejects.toThrow(
      /^what comes from a pipe is kept in \/nowhere \(TMPDIR\), which failed: ENOENT/,
    );
  });

  test("is read at once with the others: ten named pipes, filled one after the other from the last, are no deadlock", async () => {
    await using directory = await openDirectory();
    const pipes = Array.from({ length: 10 }, (_, index) => join(directory.path, `pipe-${index}`));
    execFileSync("mkfifo", pipes);
    const filler = Buffer.alloc(100_000, `${"-".repeat(99)}\n`); // more than a pipe takes by itself
    const traced = traceFiles(requestId, pipes);
    for (const [index, pipe] of pipes.toReversed().entries()) {
      const log =
        index === 9 ? Buffer.concat([filler, frontendLog]) : index === 0 ? Buffer.concat([filler, workerLog]) : filler;
      await pipeline(Readable.from([log]), createWriteStream(pipe));
    }
    expect(problemsOf(await traced)).toBe("");
    expect((await traced).isWhole).toBe(true);
  });
});

describe("files", () => {
  test("are read once, whatever they are called, and stdin is, too", async () => {
    await using directory = await openDirectory();
    const file = join(directory.path, "log");
    writeFileSync(file, wholeLog);
    symlinkSync(file, join(directory.path, "link"));
    await using sources = await openSources(
      [file, join(directory.path, "link"), `${directory.path}/./log`, "-", "/dev/stdin"],
      Readable.from([]),
    );
    expect(sources.list.map(({ name }) => name)).toEqual([file, "stdin"]);
  });

  test("that are renamed between the two readings are still the same, and one that was cut short is named", async () => {
    await using directory = await openDirectory();
    const file = join(directory.path, "log");
    writeFileSync(file, wholeLog);
    await using sources = await openSources([file], Readable.from([]));
    const [source] = sources.list;
    if (!source) throw new Error("no source");
    expect(await readAll(source.read())).toEqual(wholeLog);
    renameSync(file, `${file}.1`);
    appendFileSync(`${file}.1`, "more\n");
    expect((await readAll(source.read())).length).toBe(wholeLog.length + 5);
    truncateSync(`${file}.1`);
    await expect(readAll(source.read())).rejects.toThrow(
      /log became shorter while it was read, as a log that is rotated does: try again$/,
    );
  });

  test.each([
    ["nowhere.jsonl", /^cannot read nowhere\.jsonl: ENOENT/],
    ["/tmp", /^cannot read \/tmp: it is a directory, name the files in it$/],
    ["/proc/self/mem", /^cannot read \/proc\/self\/mem: EIO/],
  ])("%s that cannot be read is an error", async (file, message) => {
    await expect(traceFiles("x", [file])).rejects.toThrow(message);
  });
});

describe("packed logs", () => {
  test.each([
    ["gzip", (bytes: Buffer) => gzipSync(bytes)],
    ["zstd", (bytes: Buffer) => zstdCompressSync(bytes)],
  ])("of %s are known by their bytes, whatever they are called", async (name, pack) => {
    const traced = await traceAll({
      "a.log": pack(frontendLog),
      "b.gz": pack(workerLog),
      "c.gz": Buffer.from("plain\n"),
    });
    expect(problemsOf(traced)).toBe("");
    expect(traced.isWhole).toBe(true);
    expect(traced.remarks[0]).toMatch(new RegExp(`^a\\.log: ${name} of JSONL, \\d+ lines`));
    expect(await traceBytes("stream", pack(wholeLog))).toMatchObject({ isWhole: true });
  });

  test("of gzip may have several members, as of `cat a.gz b.gz`", async () => {
    const traced = await traceBytes("stream", Buffer.concat([gzipSync(frontendLog), gzipSync(workerLog)]));
    expect(problemsOf(traced)).toBe("");
    expect(traced.isWhole).toBe(true);
  });

  test("of several zstd frames are refused where Node would leave the second one out", async () => {
    const two = Buffer.concat([zstdCompressSync(frontendLog), zstdCompressSync(workerLog)]);
    await expect(traceBytes("stream", two)).rejects.toThrow(
      "cannot read stdin: more follows the first zstd frame; unpack it with zstd -dc",
    );
  });

  test("whose end is missing are read up to there, which is told", async () => {
    const packed = gzipSync(
      Buffer.concat([
        wholeLog,
        Buffer.from(Array.from({ length: 9_999 }, (_, index) => String(Math.sin(index))).join("\n")),
      ]),
    );
    const traced = await traceBytes("stream", packed.subarray(0, -1_000));
    expect(traced.isWhole).toBe(true);
    expect(traced.remarks[0]).toMatch(/^stdin: gzip of JSONL, .*, its end is missing$/);
  });

  test.each([
    ["xz", "fd377a585a000004"],
    ["bzip2", "425a683931415926"],
  ])("of %s say how to give them", async (program, hex) => {
    await expect(traceBytes("x", Buffer.from(hex, "hex"))).rejects.toThrow(
      `cannot read stdin: it is packed; give <(${program} -dc stdin) instead`,
    );
  });
});

describe("the state of each log is told in one line:", () => {
  const counts = `${recording.length} lines, ${recording.length} of dyn, ${recording.length} of this request`;

  test.each<[string, Buffer, string]>([
    ["empty", Buffer.alloc(0), "empty"],
    [
      "text",
      Buffer.from("2026 INFO dyn: hello\n"),
      "text, no JSONL of dyn (DYN_LOGGING_JSONL=1), 1 line, 0 of dyn, 0 of this request",
    ],
    [
      "json of others",
      Buffer.from('{"time":"x","level":"INFO","msg":"a"}\n{}\n'),
      "text, no JSONL of dyn (DYN_LOGGING_JSONL=1), 2 lines, 0 of dyn, 0 of this request",
    ],
    [
      "binary",
      Buffer.from("7f454c4600010a0001", "hex"),
      "binary, no JSONL of dyn (DYN_LOGGING_JSONL=1), 2 lines, 0 of dyn, 0 of this request",
    ],
    ["packed and empty", gzipSync(""), "gzip, empty"],
    ["torn", frontendLog.subarray(0, -30), "JSONL, 5 lines, 5 of dyn, 4 of this request, its end is missing"],
    ["without a last newline", workerLog.subarray(0, -1), "JSONL, 2 lines, 2 of dyn, 2 of this request"],
    [
      "after a hole, as a truncated one has",
      Buffer.concat([Buffer.alloc(20_000_000), workerLog]),
      "JSONL, 2 lines, 2 of dyn, 2 of this request",
    ],
  ])("%s", async (_name, bytes, state) => {
    const traced = await traceAll({ "whole.log": wholeLog, "other.log": bytes });
    expect(traced.isWhole).toBe(true);
    expect(traced.remarks.slice(0, 2)).toEqual([`whole.log: JSONL, ${counts}`, `other.log: ${state}`]);
  });

  test("written anew by a collector, with its keys in another order", async () => {
    const anew = recording.map(
      ({ fields }) => `${JSON.stringify(Object.fromEntries(Object.entries(fields).toReversed()))}\n`,
    );
    const traced = await traceAll({ "anew.log": Buffer.from(anew.join("")) });
    expect(traced.isWhole).toBe(true);
    expect(traced.remarks).toEqual([
      `anew.log: JSON, ${recording.length} lines, 0 of dyn, ${recording.length} of this request`,
    ]);
  });
});

describe("the same line", () => {
  test("in a log and its copy is one, which a note tells", async () => {
    const traced = await traceAll({ "fe.log": frontendLog, "fe.log.1": frontendLog, "wk.log": workerLog });
    expect(traced.isWhole).toBe(true);
    expect(traced.trees[0]?.log?.lines).toBe(recording.length);
    expect(problemsOf(traced)).toMatch(
      /^note 5 lines are there more than once and taken as one: \S+fe\.log:1, \S+fe\.log\.1:1, …$/,
    );
  });
});

describe("a worker whose lines are missing", () => {
  const instance = String(recording.find(isOfWorker)?.fields["instance_id"]);

  test("has no log among those that were looked at", async () => {
    const traced = await traceAll({ "fe.log": frontendLog, "other.log": Buffer.from("{}\n") });
    expect(traced.isWhole).toBe(false);
    expect(problemsOf(traced)).toBe(
      `missing attempt 0: 2 logs were looked at, and there is no line of instance ${instance}: its completion is unknown (its log was not given, or its lines were filtered)`,
    );
  });

  test.each(["stream", "info-stream"])("has one without a line of this request (%s)", async (name) => {
    const lines = readRecording(name);
    const [own, theirs] = [toBytes(lines.filter((line) => !isOfWorker(line))), toBytes(lines.filter(isOfWorker))];
    const asked = String(lines.find(isOfWorker)?.fields["instance_id"]);
    const otherId = (line: string): string =>
      line.replace(/"(request_id|trace_id|span_id|parent_id|x_request_id)":"../g, '"$1":"zz');
    const traced = await traceAll(
      { "fe.log": own, "wk.log": Buffer.from(otherId(theirs.toString())) },
      String(lines[0]?.fields["request_id"]),
    );
    expect(traced.isWhole).toBe(false);
    expect(problemsOf(traced)).toMatch(
      new RegExp(
        `^missing attempt 0: \\S+wk\\.log is a log of instance ${asked}, but has no line of it: its completion is unknown`,
      ),
    );
  });

  test("has one with lines of another of the requests that were looked at", async () => {
    const change = (line: string): string => line.replace(/"(request_id|trace_id|span_id|parent_id)":"./g, '"$1":"z');
    const other = change(`${frontendLog.toString()}${workerLog.toString()}`);
    const traced = await traceAll({ "fe.log": frontendLog, "other.log": Buffer.from(other) }, "stream");
    expect(traced.trees).toHaveLength(2);
    expect(problemsOf(traced)).toMatch(
      /^missing attempt 0: \S+other\.log is a log of instance \d+, but has no line of it: [^\n]*$/,
    );
  });

  test("is not found in the frontend's own lines about it", async () => {
    const joined = `{"time":"2026-11-27T17:23:23.213263Z","level":"INFO","target":"dyn_runtime::discovery","message":"instance joined","instance_id":"${instance}"}\n`;
    const traced = await traceAll({ "fe.log": Buffer.concat([Buffer.from(joined), frontendLog]) });
    expect(problemsOf(traced)).toMatch(/^missing attempt 0: 1 log was looked at, and there is no line of instance/);
  });
});
