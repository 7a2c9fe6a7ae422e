// Headers that a handler gives for the HTTP answer: with the first item of a model, and at the end of every answer.
import { describe, expect, test } from "vitest";
import { FrameWriter } from "../../packages/runtime/src/wire/frame-writer.ts";
import { decodeEnd, decodeError, encodeEnd, encodeError } from "../../packages/runtime/src/wire/endings.ts";
import { encodeOwn } from "../../packages/runtime/src/wire/payload.ts";
import { addResponseHeaders, keepResponseHeaders } from "../../packages/runtime/src/trace/response-headers.ts";
import { RuntimeError, type Handler } from "../../packages/runtime/src/index.ts";
import { serveModel } from "../../packages/runtime/src/llm.ts";
import { collect, failureOf, startPair, type Ask } from "./peers.ts";

const seen = { request_id: "r", trace_id: "t", span_id: "s", instance_id: "1", attempt: 0 };
const many = (count: number, length: number): Record<string, string> =>
  Object.fromEntries(Array.from({ length: count }, (_, index) => [`x-${index}`, "v".repeat(length)]));

describe("headers that a handler gives", () => {
  const giving: Handler<Ask, unknown> = async ({ fail = false }, { setResponseHeaders }) => {
    setResponseHeaders({ "X-Left": "2", "x-kind": "short" });
    setResponseHeaders({ "x-left": "1" });
    if (fail) throw new RuntimeError("rate_limited", "too many");
    return 1;
  };

  test("reach its caller, the later ones in place of the earlier, their names in lower case", async () => {
    await using pair = await startPair({ handler: giving });
    const answer = pair.client.generate({ count: 1 });
    expect(await collect(answer)).toEqual([1]);
    expect(answer.trailer.headers).toEqual({ "x-left": "1", "x-kind": "short" });
  });

  test("reach its caller also if it fails", async () => {
    await using pair = await startPair({ handler: giving });
    const answer = pair.client.generate({ count: 1, fail: true });
    expect(await failureOf(collect(answer))).toMatchObject({ code: "rate_limited" });
    expect(answer.trailer.headers).toEqual({ "x-left": "1", "x-kind": "short" });
  });

  test("are absent where there are none", async () => {
    await using pair = await startPair();
    const answer = pair.client.generate({ count: 1 });
    await collect(answer);
    expect(answer.trailer).not.toHaveProperty("headers");
  });

  test.each<[string, unknown, string]>([
    ["no object", "a text", "response headers must be a plain object of texts"],
    ["those of fetch", new Headers({ "x-left": "1" }), "Object.fromEntries(…) makes it of `Headers`"],
    ["of a name that is none", { "x left": "1" }, '"x left" is no name of a response header'],
    [
      "of more lines than one",
      { "x-left": "1\r\nset-cookie: a=b" },
      "the response header x-left must be a text of one line",
    ],
    [
      "of a number",
      { "x-left": 1 },
      "the response header x-left must be a text of one line, of characters up to U+00FF, got 1",
    ],
    ["of characters that HTTP has not", { "x-left": "€" }, "the response header x-left must be a text of one line"],
    ["too many", many(33, 1), "33 response headers, limit 32"],
    ["too long", many(20, 101), "response headers of 2090 bytes, limit 2048"],
  ])("are refused if they are %s, and the worker's log says why", async (_what, headers, message) => {
    await using pair = await startPair({
      handler: async (_request, { setResponseHeaders }) => setResponseHeaders(headers as Record<string, string>),
    });
    const failure = await failureOf(collect(pair.client.generate({ count: 1 })));
    expect(failure).toMatchObject({ code: "internal", message: "the worker failed" });
    const line = pair.workerLines.find(({ message: text }) => text === "request completed");
    expect(String(line?.["error"])).toContain(message);
  });
});

test("a model's first delta has those that are set before it, and no other delta has any", async () => {
  await using pair = await startPair();
  await serveModel(pair.server, { model: "m" }, async function* (_request, { setResponseHeaders }) {
    setResponseHeaders({ "x-left": "1" });
    yield { text: "a" };
    setResponseHeaders({ "x-late": "yes" });
    yield { text: "b" };
  });
  const client = pair.caller.client("dyn://dynamo.backend.generate");
  const job = { model: "m", messages: [{ role: "user", text: "x" }], stop: [], sampling: {} };
  const answer = client.generate(job);
  expect(await collect(answer)).toMatchObject([
    { text: "a", headers: { "x-left": "1" } },
    { text: "b" },
    { finishReason: "stop" },
  ]);
  expect(answer.trailer.headers).toEqual({ "x-left": "1", "x-late": "yes" });
});

describe("the limits of response headers", () => {
  test("hold for what a worker sends, whatever that is", () => {
    expect(Object.keys(keepResponseHeaders(many(100, 1)) ?? {})).toHaveLength(32);
    expect(Object.keys(keepResponseHeaders(many(32, 200)) ?? {})).toHaveLength(10);
    const odd = { "X-Upper": "1", "x-line": "1\n2", "x-number": 1, "": "1", "x-good": "yes" };
    expect(decodeEnd(encodeOwn({ headers: odd })).headers).toEqual({ "x-good": "yes" });
    for (const headers of ["text", 1, null, [["a", "b"]], { "x-a": { "x-b": "c" } }])
      expect(decodeEnd(encodeOwn({ headers }))).not.toHaveProperty("headers");
  });

  test("are met together, however many calls give them", () => {
    expect(() => addResponseHeaders(many(20, 90), { "x-more": "v".repeat(200) })).toThrow("limit 2048");
    expect(addResponseHeaders(many(20, 90), many(20, 1))).toEqual(many(20, 1));
  });

  test("leave the frames of END and ERROR within what every peer takes", () => {
    const facts = Object.fromEntries(Array.from({ length: 7 }, (_, index) => [`f${index}`, "x".repeat(250)]));
    const trailer = { seen, items: 0, elapsed_ms: 1, facts, headers: many(20, 96) };
    const bodyOf = (build: (writer: FrameWriter) => void): Buffer => {
      const writer = new FrameWriter();
      writer.maxBodyBytes = 4_096;
      build(writer);
      return Buffer.concat(writer.take()).subarray(9);
    };
    const end = bodyOf((writer) =>
      encodeEnd(writer, 1, { ...trailer, seen: { ...seen, x_request_id: "x".repeat(256) } }),
    );
    expect(end.length).toBeLessThanOrEqual(4_096);
    expect(decodeEnd(end)).toMatchObject({ facts: { f0: "x".repeat(250) }, seen: { request_id: "r" } });
    expect(decodeEnd(end)).not.toHaveProperty("headers");
    const error = bodyOf((writer) =>
      encodeError(writer, 1, {
        code: "internal",
        message: "€".repeat(1_024),
        retryable: false,
        produced: false,
        trailer,
      }),
    );
    expect(error.length).toBeLessThanOrEqual(4_096);
    expect(decodeError(error).trailer).toMatchObject({ seen: { request_id: "r" } });
  });
});
