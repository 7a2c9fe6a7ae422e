// A log may hold anything: whatever stands in it, the command says what it can make of it, and what it has left out.
import { Readable } from "node:stream";
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { parseLine } from "../../packages/lineage/src/logs/lines.ts";
import { rebuildTrees } from "../../packages/lineage/src/rebuild.ts";
import { drawTree } from "../../packages/lineage/src/show/timeline.ts";
import { traceRequests } from "../../packages/lineage/src/trace-command.ts";
import type { RequestTree } from "../../packages/lineage/src/tree.ts";
import { isLifecycle, readRecording, recordings, toBytes, type Fields } from "./recordings.ts";

interface Said {
  /** All of it, as one text. */
  readonly text: string;
  readonly remarks: string;
  readonly isWhole?: boolean;
  readonly refusal?: unknown;
}

async function say(id: string, chunks: readonly Uint8Array[], json: boolean): Promise<Said> {
  const [printed, remarks]: [string[], string[]] = [[], []];
  const options = { id, files: ["-"], json, limit: 30, columns: 100, color: false, input: Readable.from(chunks) };
  try {
    const isWhole = await traceRequests({
      ...options,
      print: (text) => printed.push(text),
      remark: (text) => remarks.push(text),
    });
    return { text: printed.join(""), remarks: remarks.join("\n"), isWhole };
  } catch (refusal) {
    return { text: "", remarks: remarks.join("\n"), refusal };
  }
}

async function readTrees(id: string, lines: readonly Fields[]): Promise<RequestTree[]> {
  const { text } = await say(id, [toBytes(lines.map((fields) => ({ fields })))], true);
  return text
    .split("\n")
    .filter((line) => line !== "")
    .map((line) => JSON.parse(line) as RequestTree);
}

function problemsOf({ problems }: RequestTree): string {
  return problems.map(({ kind, message }) => `${kind} ${message}`).join("\n");
}

const id = "any-line";

/** Lines of every kind, as those of one client's id. */
const everyKind = recordings.flatMap((name) =>
  readRecording(name).map(({ fields }) => ({ ...fields, x_request_id: id })),
);

// As they stand in a log.
const nasty: readonly string[] = [
  "null",
  "true",
  "-1",
  "1e300",
  "-1e-300",
  "1e15",
  "1e400",
  "0.5",
  '""',
  '"__proto__"',
  String.raw`"\u001b[2J\u202e\u00ad\ud800"`,
  '"+275760-09-13T00:00Z"',
  '"0000-01-01T00:00:00Z"',
  '"9999-12-31T23:59:59.999999-23:59"',
  '"2026-11-24T02:49:08Z"',
  '"2026-99-24T02:49:08Z"',
  "{}",
  '{"toString":1,"valueOf":null}',
  '{"length":-1,"then":{}}',
  '{"__proto__":{"span_id":"x"},"constructor":null}',
  "[[[]]]",
  `${"[".repeat(20_000)}${"]".repeat(20_000)}`,
  `"${"x".repeat(300_000)}"`,
  `"\u202e\u{e0041}\u0085\ufeff"`,
];
const anyValue = fc.oneof(
  fc.nat(nasty.length - 1).map((index) => `raw ${index}`),
  fc.jsonValue({ maxDepth: 2 }),
  fc.double(),
  fc.string({ unit: "binary" }),
);
const toLog = (lines: readonly Fields[]): Buffer =>
  Buffer.from(
    toBytes(lines.map((fields) => ({ fields })))
      .toString()
      .replace(/"raw (\d+)"/g, (_all, index: string) => nasty[Number(index)] ?? "null"),
  );
const hidden = /[\p{Cc}\p{Zl}\p{Zp}\p{Bidi_Control}\u00ad\ufeff\u{e0000}-\u{e0fff}]/u;

describe("any JSON in any field of any kind of line", () => {
  test("ends in pictures, trees or one sentence, which a terminal can only show", async () => {
    const change = fc.record({ at: fc.nat(everyKind.length - 1), field: fc.nat(), value: anyValue });
    await fc.assert(
      fc.asyncProperty(fc.array(change, { minLength: 1, maxLength: 60 }), fc.boolean(), async (changes, json) => {
        const lines: Fields[] = [...everyKind];
        for (const { at, field, value } of changes) {
          const fields = Object.entries(lines[at] ?? {});
          const [name] = fields[field % fields.length] ?? ["time"];
          lines[at] = Object.fromEntries([
            ...fields.filter(([other]) => other !== name),
            [name, value],
            ["__proto__", value],
          ]);
        }
        const { text, remarks, refusal } = await say(id, [toLog(lines)], json);
        expect(refusal).toBeUndefined();
        expect(`${text}${remarks}`.replaceAll("\n", "")).not.toMatch(hidden);
        if (json)
          for (const line of text.trimEnd().split("\n"))
            expect(JSON.parse(line)).toMatchObject({ problems: expect.any(Array) });
      }),
      { numRuns: 40 },
    );
  });

  test("is left out, and the field and its line are named", async () => {
    const lines = readRecording("stream").map(({ fields }) => fields);
    const changed = lines.map((fields) =>
      fields["message"] === "request completed" ? { ...fields, ttft_ms: { a: 1 } } : fields,
    );
    const [tree] = await readTrees(String(lines[0]?.["request_id"]), changed);
    expect(problemsOf(tree as RequestTree)).toMatch(
      /^note 2 fields were left out, because of values that cannot be there: ttft_ms of "request completed" \(stdin:\d+\), ttft_ms of "request completed" \(stdin:\d+\)$/m,
    );
  });

  test("of no line of a lifecycle is nobody's business", async () => {
    const lines = readRecording("stream").map(({ fields }) => fields);
    const more = {
      time: lines[0]?.["time"],
      level: "INFO",
      target: "mine",
      message: "hello",
      request_id: lines[0]?.["request_id"],
      items: ["a"],
    };
    const [tree] = await readTrees(String(more.request_id), [...lines, more]);
    expect(tree?.problems).toEqual([]);
  });

  test("does not change the order of the lines around it", async () => {
    const lines = readRecording("retry").map(({ fields }) => fields);
    const [before] = await readTrees(String(lines[0]?.["request_id"]), lines);
    const others = lines
      .filter((fields) => isLifecycle({ file: "", fields }))
      .map((fields, index) => ({ ...fields, target: "mine", time: [index] }));
    const [after] = await readTrees(String(lines[0]?.["request_id"]), [...others, ...lines.toReversed(), ...others]);
    expect(after?.attempts).toEqual(before?.attempts);
  });
});

test("a line that sums up refused requests is no line of the lifecycle of its example", async () => {
  const line = readRecording("stream").find(
    ({ fields }) => fields["message"] === "request completed" && fields["span_name"] === "http-request",
  );
  const sum = { ...line?.fields, level: "ERROR", status: "error", error_type: "unauthenticated", count: 335 };
  const [tree] = await readTrees(String(line?.fields["request_id"]), [sum]);
  expect(tree?.request).toBeUndefined();
  expect(problemsOf(tree as RequestTree)).toMatch(
    /^missing its lifecycle: .* or summed up with those of others that were refused$/,
  );
});

const requestId = "0f4ac56e-5bd1-4657-bf8b-39cdcde9036b";
const time = "2026-11-24T02:49:08.479825Z";
const count = 99_000;
const common = { time, level: "INFO", request_id: requestId, trace_id: "t" };
const request = { ...common, target: "dyn_frontend::request_log", span_name: "http-request", span_id: "root" };
const attempt = {
  ...common,
  target: "request_span",
  span_name: "router.route_request",
  message: "route request to x",
  parent_id: "root",
};
const worker = {
  ...common,
  target: "dyn_runtime::ingress::push_handler",
  span_name: "handle_payload",
  message: "request received",
};
const completed = { ...request, message: "request completed", status: "success", attempts: count };

const ownAttempt = (index: number): object => ({
  ...attempt,
  span_id: `s${index}`,
  worker_id: `w${index}`,
  "request.attempt": index,
});

const shapes: readonly (readonly [name: string, line: (index: number) => object])[] = [
  ["lines of one worker", () => ({ ...worker, span_id: "k", parent_id: "p", instance_id: "w" })],
  [
    "attempts, and workers that name other spans and numbers",
    (index) =>
      index % 2 === 0
        ? { ...ownAttempt(index), worker_id: "w" }
        : { ...worker, span_id: `k${index}`, parent_id: `none${index}`, instance_id: "w", attempt: index % 4 },
  ],
  [
    "halves of workers",
    (index) => ({
      ...worker,
      span_id: `k${index}`,
      parent_id: "p",
      instance_id: "w",
      message: index % 3 ? "request received" : "request completed",
    }),
  ],
  [
    "attempts below each other in a circle",
    (index) =>
      index % 2 === 0
        ? { ...attempt, span_id: `s${index}`, caller_span_id: `k${index % 40}`, worker_id: "w" }
        : { ...worker, span_id: `k${(index + 1) % 40}`, parent_id: `s${index - 1}`, instance_id: "w" },
  ],
  [
    "lines that share ids with one other line each",
    (index) => ({ ...attempt, request_id: `r${index >> 1}`, span_id: index % 2 ? "s0" : `s${index}` }),
  ],
  [
    "workers for prefill and for decode",
    (index) => ({
      ...worker,
      span_id: `k${index}`,
      parent_id: "s0",
      disagg_role: index % 2 ? "prefill" : "decode",
      prefill_span_id: `none${index}`,
    }),
  ],
];

describe("tens of thousands of lines of one request", () => {
  const first = {
    ...attempt,
    span_id: "s0",
    worker_id: "w0",
    "request.attempt": 0,
    "request.outcome": "success",
    error: "no",
  };

  test.each(shapes)("that are %s are sorted, drawn in part, and counted whole", { timeout: 120_000 }, (_name, make) => {
    const made = [completed, first, ...Array.from({ length: 60_000 }, (_, index) => make(index))];
    const lines = made.flatMap(
      (fields, index) => parseLine(JSON.stringify({ ...fields, n: index }), `log:${index}`) ?? [],
    );
    const before = process.cpuUsage();
    const { trees, skipped } = rebuildTrees(lines, new Set([requestId]), { limit: 2 });
    const [tree] = trees;
    const text = drawTree(tree as RequestTree, { columns: 100, color: false });
    const { user } = process.cpuUsage(before);
    expect(user / 1e6).toBeLessThan(10); // what takes the square of their number takes minutes
    expect(text.split("\n").length).toBeLessThan(2_000);
    const told = trees.reduce((sum, { log }) => sum + (log?.lines ?? 0), skipped);
    expect(told).toBe(lines.length);
  });

  test("are told of by the command, if they are 99 000 attempts", { timeout: 120_000 }, async () => {
    const bytes = Buffer.from(
      [completed, ...Array.from({ length: count }, (_, index) => ownAttempt(index))]
        .map((fields) => `${JSON.stringify(fields)}\n`)
        .join(""),
    );
    const { text, remarks, refusal, isWhole } = await say(requestId, [bytes], false);
    expect(refusal).toBeUndefined();
    expect(isWhole).toBe(false);
    expect(remarks).toContain("99001 lines, 0 of dyn, 99001 of this request");
    expect(text).toContain("… 197801 rows are not drawn (--json has all)");
    expect(text).toContain("… and 98952 more (--json has all)");
  });

  test("that has been sent as often are as many requests, of which the latest are drawn", async () => {
    const lines = Array.from({ length: 2_000 }, (_, index) => ({
      ...request,
      message: "request received",
      span_id: `r${index}`,
    }));
    const { text, remarks } = await say(requestId, [toBytes(lines.map((fields) => ({ fields })))], true);
    expect(text.trimEnd().split("\n")).toHaveLength(30);
    expect(remarks).toContain("1970 earlier requests with the same request id were not looked at (--limit)");
  });
});

describe("a line that is too large", () => {
  test("is counted and passed over, also one of 64 MiB, deep or wide", async () => {
    const lines = toBytes(readRecording("stream"));
    const chunk = 1024 * 1024;
    const large = (text: string): Buffer[] => {
      const part = Buffer.alloc(chunk, text);
      return [Buffer.from(`{"request_id":"stream","a":`), ...Array.from({ length: 64 }, () => part), Buffer.from("\n")];
    };
    const { isWhole, remarks } = await say("stream", [...large("["), ...large("[{},"), ...large("x"), lines], true);
    expect(isWhole).toBe(true);
    expect(remarks).toContain("3 lines longer than 16 MiB not read");
  });

  test("of 15 MiB is read, and nothing of it is kept but what is needed", async () => {
    const lines = readRecording("stream").map(({ fields }) => fields);
    const much = lines.map((fields, index) => ({
      ...fields,
      more: "[".repeat(index === 0 ? 15 * 1024 * 1024 : 1),
      error: "y".repeat(100_000),
    }));
    const [tree] = await readTrees(String(lines[0]?.["request_id"]), much);
    expect(problemsOf(tree as RequestTree)).toBe("");
    expect(tree?.request?.error).toMatch(/^y{255}…$/);
  });
});

test.each([1, 300, 5_000, 200_000])("an id of %d characters is found, as it is and escaped", async (length) => {
  const long = `é\u202e${"x".repeat(length)}`;
  const lines = readRecording("stream").map(({ fields }) => ({ ...fields, x_request_id: long }));
  const plain = toBytes(lines.map((fields) => ({ fields })));
  for (const bytes of [plain, Buffer.from(plain.toString().replaceAll("\u202e", "\\u202e"))]) {
    const { isWhole, text } = await say(long, [bytes], true);
    expect(isWhole).toBe(true);
    expect((JSON.parse(text) as RequestTree).x_request_id).toMatch(/^é\u202ex+…?$/);
  }
});

test("processes that say nonsense about lines they have dropped are not believed", async () => {
  const notice = { time, level: "WARN", target: "dyn_runtime::logging", message: "log lines dropped" };
  const lines = readRecording("stream").map(({ fields }) => fields);
  const notices = [{ a: 1 }, [7], "5", -3, 1e300, 4].map((value) => ({ ...notice, dropped_lines: value }));
  const { remarks } = await say(
    String(lines[0]?.["request_id"]),
    [toBytes([...lines, ...notices].map((fields) => ({ fields })))],
    true,
  );
  expect(remarks).toContain("\n4 lines could not be written by the processes themselves");
});
