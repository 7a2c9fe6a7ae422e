// Logs at INFO: attempts that went well have no line of their own, and nothing is missed for it.
import { describe, expect, test } from "vitest";
import {
  change,
  isWorker,
  problemsOf,
  readRecording,
  set,
  shift,
  trace,
  type Fields,
  type RecordedLine,
} from "./recordings.ts";

describe("at INFO, where attempts that went well have no line of their own,", () => {
  /** The line that the attempt has at DEBUG. */
  function debugLine(lines: readonly RecordedLine[], more: Fields = {}): RecordedLine {
    const { fields = {} } = lines.find(({ fields }) => fields["attempt_span_id"] !== undefined) ?? {};
    const {
      request_id,
      x_request_id,
      trace_id,
      worker_id,
      time,
      attempt_span_id: span_id,
      span_id: parent_id,
    } = fields;
    const ids = { request_id, x_request_id, trace_id, worker_id, span_id, parent_id, time };
    const kind = {
      level: "DEBUG",
      target: "request_span",
      span_name: "router.route_request",
      message: "route request completed",
    };
    return {
      file: "frontend.jsonl",
      fields: { ...ids, ...kind, "request.attempt": 0, "request.outcome": "success", elapsed_ms: 40, ...more },
    };
  }

  test("the request names the attempt that answered", async () => {
    const { trees, isWhole } = await trace("info-stream", readRecording("info-stream"));
    const [attempt] = trees[0]?.attempts ?? [];
    expect(attempt).toMatchObject({
      attempt: 0,
      outcome: "success",
      sent: true,
      workers: [{ parent_id: attempt?.span_id, status: "success" }],
    });
    expect(attempt).not.toHaveProperty("ended_at");
    expect(isWhole).toBe(true);
  });

  test("the number of a second attempt follows from the count, and the first has a line because it failed", async () => {
    const { trees } = await trace("info-failover", readRecording("info-failover"));
    expect(trees[0]?.attempts).toMatchObject([
      { attempt: 0, outcome: "worker_disconnected" },
      { attempt: 1, outcome: "success" },
    ]);
  });

  test("a prefill worker that had to be retried keeps its place, whatever its clock shows", async () => {
    for (const ms of [0, 3_600_000, -3_600_000]) {
      const lines = readRecording("info-prefill-retry").map((line) =>
        isWorker(line) ? { ...line, fields: { ...line.fields, time: shift(line.fields["time"], ms) } } : line,
      );
      const { trees, isWhole } = await trace("info-prefill-retry", lines);
      expect(trees[0]?.attempts.map(({ attempt, workers }) => [attempt, workers[0]?.disagg_role])).toEqual([
        [0, "prefill"],
        [1, "prefill"],
        [0, "decode"],
      ]);
      expect(isWhole).toBe(true);
    }
  });

  test("a request that was cancelled before anything was sent misses no worker", async () => {
    const lines = readRecording("info-cancelled").filter(
      (line) => !isWorker(line) && !String(line.fields["message"]).startsWith("http response"),
    );
    const unsent = change(lines, "frontend", "request completed", set({ attempt_span_id: undefined }));
    const { trees, isWhole } = await trace("info-cancelled", unsent);
    expect(trees[0]?.attempts).toMatchObject([{ attempt: 0, outcome: "cancelled", sent: false, workers: [] }]);
    expect(isWhole).toBe(true);
    expect((await trace("info-cancelled", lines)).isWhole).toBe(false);
  });

  test("a line of the attempt must say the same", async () => {
    const lines = readRecording("info-stream");
    const both = await trace("info-stream", [...lines, debugLine(lines)]);
    expect(problemsOf(both)).toBe("");
    expect(both.trees[0]?.attempts).toMatchObject([{ elapsed_ms: 40 }]);
    const other = await trace("info-stream", [...lines, debugLine(lines, { span_id: "00000000000000aa" })]);
    expect(problemsOf(other)).toContain("contradiction attempt_span_id of the request is");
  });

  test("one request id used for several requests: each is drawn by itself", async () => {
    const lines = readRecording("info-stream");
    const renamed = JSON.parse(
      JSON.stringify(lines).replace(/"(span_id|parent_id|attempt_span_id)":"(?!00f067aa0ba902b7)./g, '"$1":"e'),
    ) as RecordedLine[];
    const traced = await trace("info-stream", [...lines, ...renamed]);
    expect(traced.trees).toHaveLength(2);
    expect(problemsOf(traced)).toBe("");
  });

  test("no worker takes longer than the request", async () => {
    const lines = change(readRecording("info-stream"), "worker", "request completed", set({ elapsed_ms: 5_000 }));
    expect(problemsOf(await trace("info-stream", lines))).toMatch(
      /contradiction the worker of attempt 0 at \d+ took 5000 ms, longer than the \S+ ms of the request/,
    );
  });
});
