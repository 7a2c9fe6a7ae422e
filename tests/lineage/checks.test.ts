// What is said of requests that did not go well, of logs that contradict each other in other ways, and of logs that are not there.
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

describe("a contradiction is named:", () => {
  test.each<[string, "frontend" | "worker", string, Fields, string]>([
    [
      "output tokens",
      "worker",
      "request completed",
      { output_tokens: 8 },
      "output_tokens at the frontend is 7, but at the worker it is 8",
    ],
    [
      "input tokens",
      "frontend",
      "request completed",
      { input_tokens: 6 },
      "input_tokens at the frontend is 6, but at the worker it is 7",
    ],
    [
      "no tokens at the frontend",
      "frontend",
      "request completed",
      { output_tokens: undefined },
      "output_tokens at the frontend is absent",
    ],
    [
      "a failure called a success",
      "worker",
      "request completed",
      { status: "error" },
      "is success at the frontend, but error at its worker",
    ],
    [
      "a success after a failure",
      "frontend",
      "route request completed",
      { "request.outcome": "rejected" },
      "the request is a success, but attempt 0",
    ],
    [
      "the end of a stream",
      "frontend",
      "http response finished",
      { outcome: "error" },
      "the stream ended with error, but the status of the request is success",
    ],
    [
      "an attempt too many",
      "frontend",
      "request completed",
      { attempts: 0 },
      "the frontend counts 0 attempts, but its lines tell of 1",
    ],
    [
      "an attempt too few",
      "frontend",
      "request completed",
      { attempts: 2 },
      "the frontend counts 2 attempts, but its lines tell of 1",
    ],
    [
      "attempts nobody counted",
      "frontend",
      "request completed",
      { attempts: undefined },
      `"request completed" does not say how many attempts`,
    ],
    [
      "the number of the attempt",
      "worker",
      "request received",
      { attempt: 1 },
      "attempt at the worker is 1, but request.attempt is 0",
    ],
    [
      "another number",
      "frontend",
      "route request completed",
      { "request.attempt": 1 },
      "attempt 0: in its place stands attempt 1",
    ],
    [
      "a worker slower than its attempt",
      "worker",
      "request completed",
      { elapsed_ms: 5_000 },
      "took 5000 ms, longer than",
    ],
    [
      "an attempt slower than its request",
      "frontend",
      "route request completed",
      { elapsed_ms: 5_000 },
      "took 5000 ms, longer than",
    ],
    [
      "an attempt that was never sent",
      "frontend",
      "route request completed",
      { "request.sent": false },
      "attempt 0 was never sent, but instance",
    ],
  ])("%s", async (_name, side, message, more, expected) => {
    const traced = await trace("stream", change(readRecording("stream"), side, message, set(more)));
    expect(traced.isWhole).toBe(false);
    expect(problemsOf(traced)).toContain(expected);
  });

  test("two workers at one attempt", async () => {
    const lines = readRecording("stream");
    const twin = lines
      .filter(isWorker)
      .map((line) => ({ ...line, fields: { ...line.fields, instance_id: "1", span_id: "00000000000000aa" } }));
    const problems = problemsOf(await trace("stream", [...lines, ...twin]));
    expect(problems).toMatch(/contradiction attempt 0 at \d+ ran 2 times: on \d+, 1$/m);
    expect(problems).toContain("instance_id of the worker");
  });

  test("two different completions of one request", async () => {
    const lines = readRecording("stream");
    const second = lines.filter((line) => !isWorker(line) && line.fields["message"] === "request completed");
    const problems = problemsOf(
      await trace("stream", [
        ...lines,
        ...second.map(({ file, fields }) => ({ file, fields: { ...fields, elapsed_ms: 1 } })),
      ]),
    );
    expect(problems).toContain("the frontend has 2 different lines where there must be one");
  });

  test("none where the frontend counts no tokens, since an endpoint has been exposed", async () => {
    const exposed = set({ model: "dyn://dynamo.backend.generate", input_tokens: undefined, output_tokens: undefined });
    const lines = readRecording("stream").map((line) =>
      !isWorker(line) && line.fields["model"] === "mock" ? { ...line, fields: exposed(line.fields) } : line,
    );
    expect(problemsOf(await trace("stream", lines))).not.toContain("tokens");
  });

  test("what the frontend has noticed itself", async () => {
    const lines = readRecording("stream");
    const attempt = lines.find(({ fields }) => fields["message"] === "route request completed");
    const warning = { level: "WARN", message: "worker saw other ids than were sent", mismatch: "trace_id" };
    const more = { file: "frontend.jsonl", fields: { ...attempt?.fields, ...warning } };
    expect(problemsOf(await trace("stream", [...lines, more]))).toContain(
      "the frontend noticed that the worker saw another trace_id",
    );
  });
});

describe("what is not there is missed:", () => {
  test("the log of a worker", async () => {
    const traced = await trace(
      "stream",
      readRecording("stream").filter((line) => !isWorker(line)),
    );
    expect(traced.isWhole).toBe(false);
    expect(problemsOf(traced)).toMatch(
      /^missing attempt 0: 1 log was looked at, and there is no line of instance \d+: its completion is unknown/m,
    );
  });

  test("the log of the frontend", async () => {
    const traced = await trace("stream", readRecording("stream").filter(isWorker));
    expect(traced.isWhole).toBe(false);
    expect(problemsOf(traced)).toContain("missing every line of the frontend");
    expect(traced.trees[0]?.strays).toHaveLength(1);
  });

  test("the end of a worker that was killed, and nothing else", async () => {
    const traced = await trace("killed", readRecording("killed"));
    expect(traced.isWhole).toBe(false);
    expect(problemsOf(traced)).toMatch(
      /^missing "request completed" of instance \d+ for attempt 0: it was killed, .*its completion is unknown$/,
    );
    expect(traced.trees[0]?.attempts[0]).toMatchObject({ outcome: "worker_disconnected", error_type: "disconnected" });
  });

  test("lines below WARN that were sampled out, gently and in one sentence", async () => {
    const serious = readRecording("unknown-model").filter(({ fields }) => fields["level"] !== "INFO");
    const traced = await trace("unknown-model", serious);
    expect(traced.isWhole).toBe(false);
    expect(problemsOf(traced)).toMatch(/^missing all lines below WARN: this request was probably sampled out[^\n]*$/);
  });

  test("the attempts of a request of which only the frontend's own lines are there", async () => {
    const own = readRecording("stream").filter(({ fields }) => fields["span_name"] === "http-request");
    expect(problemsOf(await trace("stream", own))).toContain(
      "missing the frontend counts 1 attempt, but its lines tell of 0",
    );
    const uncounted = change(own, "frontend", "request completed", set({ attempts: 0 }));
    expect(problemsOf(await trace("stream", uncounted))).toContain(
      "contradiction the request is a success, but no worker was asked",
    );
  });

  test("an answer, unless the client left before it", async () => {
    const lines = readRecording("cancelled").filter(
      ({ fields }) => !String(fields["message"]).startsWith("http response"),
    );
    expect((await trace("cancelled", lines)).isWhole).toBe(true);
  });
});

describe("what is no fault is none:", () => {
  test("a worker that notices a cancel late", async () => {
    const lines = change(readRecording("cancelled"), "worker", "request completed", (fields) => ({
      ...fields,
      elapsed_ms: 9_000,
      time: shift(fields["time"], 8_000),
    }));
    expect((await trace("cancelled", lines)).isWhole).toBe(true);
  });

  test("lines of a handler that has the words of the lifecycle", async () => {
    const traced = await trace("nested", readRecording("nested"));
    expect(traced.isWhole).toBe(true);
    expect(traced.trees[0]?.log).toMatchObject({
      lines: 6,
      other_lines: 4,
      notices: [{ message: "a warning of the handler" }, { level: "WARN" }],
    });
  });

  test("one request id used for several requests: each is drawn by itself", async () => {
    const lines = readRecording("stream");
    const renamed = JSON.parse(
      JSON.stringify(lines).replace(/"(span_id|parent_id)":"(?!00f067aa0ba902b7)./g, '"$1":"e'),
    ) as RecordedLine[];
    const traced = await trace("stream", [...lines, ...renamed]);
    expect(traced.trees).toHaveLength(2);
    expect(problemsOf(traced)).toBe("");
  });
});

test("a worker's own requests lie below it", async () => {
  const { trees } = await trace("nested", readRecording("nested"));
  const outer = trees[0]?.attempts[0]?.workers[0];
  expect(trees[0]?.attempts).toHaveLength(1);
  expect(outer).toMatchObject({ component: "outer" });
  expect(outer?.attempts).toMatchObject([{ outcome: "success", workers: [{ component: "inner" }] }]);
});

test("an engine's own requests lie below its worker", async () => {
  const [engine, handler] = ["aaaaaaaaaaaaaaaa", "caller_span_id"];
  const recorded = readRecording("nested");
  const isOuter = ({ fields }: RecordedLine): boolean =>
    fields["component"] === "outer" && fields["message"] === "request completed";
  const outerSpan = recorded.find(isOuter)?.fields["span_id"];
  const lines = recorded.map((line) => {
    if (isOuter(line)) return { ...line, fields: { ...line.fields, engine_span_id: engine } };
    return line.fields[handler] === outerSpan ? { ...line, fields: { ...line.fields, [handler]: engine } } : line;
  });
  const traced = await trace("nested", lines);
  expect(traced.isWhole).toBe(true);
  expect(traced.trees[0]?.attempts[0]?.workers[0]?.attempts).toMatchObject([
    { outcome: "success", workers: [{ component: "inner" }] },
  ]);
});

test("prefill and decode are two attempts of one request", async () => {
  const { trees } = await trace("disaggregated", readRecording("disaggregated"));
  const [prefill, decode] = trees[0]?.attempts.map(({ workers }) => workers[0]) ?? [];
  expect(prefill).toMatchObject({ disagg_role: "prefill", attempt: 0 });
  expect(decode).toMatchObject({ disagg_role: "decode", attempt: 0, prefill_span_id: prefill?.span_id });
});
