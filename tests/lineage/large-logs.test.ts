// A log may hold very much of one request, or very much in one line: it takes time in proportion, and what is not drawn is counted.
import { describe, expect, test } from "vitest";
import { parseLine } from "../../packages/lineage/src/logs/lines.ts";
import { rebuildTrees } from "../../packages/lineage/src/rebuild.ts";
import { drawTree } from "../../packages/lineage/src/show/timeline.ts";
import type { RequestTree } from "../../packages/lineage/src/tree.ts";
import { readRecording, toBytes, type Fields } from "./recordings.ts";
import { problemsOf, readTrees, say } from "./said.ts";

const requestId = "0f4ac56e-5bd1-4657-bf8b-39cdcde9036b";
const time = "2026-11-24T02:49:08.479825Z";
/** As many lines of one request as are read at all. */
const most = 100_000;
const count = most - 1;
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

const ownAttempt = (index: number): Fields => ({
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

  /** @returns CPU time, µs. */
  function draw(make: (index: number) => object, length: number): number {
    const made = [completed, first, ...Array.from({ length }, (_, index) => make(index))];
    const lines = made.flatMap(
      (fields, index) => parseLine(JSON.stringify({ ...fields, n: index }), `log:${index}`) ?? [],
    );
    const before = process.cpuUsage();
    const { trees, skipped } = rebuildTrees(lines, new Set([requestId]), { limit: 2 });
    const [tree] = trees;
    const text = drawTree(tree as RequestTree, { columns: 100, color: false });
    const { user } = process.cpuUsage(before);
    expect(text.split("\n").length).toBeLessThan(2_000);
    const told = trees.reduce((sum, { log }) => sum + (log?.lines ?? 0), skipped);
    expect(told).toBe(lines.length);
    return user;
  }

  test.each(shapes)("that are %s are sorted, drawn in part, and counted whole", (_name, make) => {
    const [some, more] = [draw(make, 4_000), draw(make, 16_000)];
    expect(more).toBeLessThan(8 * some); // what takes the square of their number takes sixteen times as long
  });

  test("are refused if they are more than 100 000", async () => {
    const lines = Array.from({ length: most + 1 }, (_, index) => ({ fields: ownAttempt(index) }));
    const { text, refusal } = await say(requestId, [toBytes(lines)], false);
    expect(text).toBe("");
    expect(refusal).toMatchObject({
      code: "invalid_argument",
      message: `more than ${most} lines belong to this id`,
    });
  });

  test("are told of by the command, if they are as many attempts as it reads", async () => {
    const bytes = Buffer.from(
      [completed, ...Array.from({ length: count }, (_, index) => ownAttempt(index))]
        .map((fields) => `${JSON.stringify(fields)}\n`)
        .join(""),
    );
    const { text, remarks, refusal, isWhole } = await say(requestId, [bytes], false);
    expect(refusal).toBeUndefined();
    expect(isWhole).toBe(false);
    expect(remarks).toContain(`${most} lines, 0 of dyn, ${most} of this request`);
    expect(text).toContain(`… ${2 * count - 199} rows are not drawn (--json has all)`);
    expect(text).toContain(`… and ${count - 48} more (--json has all)`);
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
