// Facts that a handler reports: on the worker's line, and at the end of the answer for its caller.
import { describe, expect, test } from "vitest";
import { FrameWriter } from "../../packages/runtime/src/wire/frame-writer.ts";
import { decodeEnd, decodeError, encodeError } from "../../packages/runtime/src/wire/endings.ts";
import { encodeOwn } from "../../packages/runtime/src/wire/payload.ts";
import { keepReported } from "../../packages/runtime/src/wire/reported.ts";
import { RuntimeError, type Handler } from "../../packages/runtime/src/index.ts";
import { collect, failureOf, startPair, type Ask } from "./peers.ts";

describe("facts that a handler reports", () => {
  const reporting: Handler<Ask, unknown> = async ({ fail = false }, { report }) => {
    report({ cache_hit: true, blocks: 1, path: "short" });
    report({ blocks: 2 });
    if (fail) throw new RuntimeError("unavailable", "full");
    return 1;
  };

  test("reach its caller, the later ones in place of the earlier", async () => {
    await using pair = await startPair({ handler: reporting });
    const answer = pair.client.generate({ count: 1 });
    await collect(answer);
    expect(answer.trailer.facts).toEqual({ cache_hit: true, blocks: 2, path: "short" });
    const line = pair.workerLines.find(({ message }) => message === "request completed");
    expect(line).toMatchObject({ cache_hit: true, blocks: 2, path: "short" });
  });

  test("reach its caller also if it fails", async () => {
    await using pair = await startPair({ handler: reporting });
    const answer = pair.client.generate({ count: 1, fail: true });
    await failureOf(collect(answer));
    expect(answer.trailer.facts).toMatchObject({ cache_hit: true });
  });

  test("are absent where there are none", async () => {
    await using pair = await startPair();
    const answer = pair.client.generate({ count: 1 });
    await collect(answer);
    expect(answer.trailer).not.toHaveProperty("facts");
  });

  test("are no words of ours on the worker's line, whatever they are called", async () => {
    const names = ["attempt", "status", "error", "error_type", "x_request_id", "request_id", "event", "mismatch"];
    const facts = Object.fromEntries(names.map((name) => [name, 7]));
    await using pair = await startPair({ handler: async (_request, { report }) => (report(facts), 1) });
    const answer = pair.client.generate({ count: 1 });
    await collect(answer);
    expect(answer.trailer.facts).toEqual(facts);
    const line = pair.workerLines.find(({ message }) => message === "request completed");
    expect(line).toMatchObject({ status: "success", request_id: answer.requestId, event: "request_completed" });
    for (const name of names) expect(line).toMatchObject({ [`field.${name}`]: 7 });
    for (const name of ["attempt", "error", "error_type", "x_request_id", "mismatch"])
      expect(line).not.toHaveProperty(name);
  });

  test("are no more than a line may have, whoever names them", async () => {
    const many = Object.fromEntries(Array.from({ length: 20_000 }, (_, index) => [`f${index}`, "x".repeat(2_000)]));
    const given = { ...many, ...(JSON.parse('{"__proto__":{"a":1}}') as object) };
    await using pair = await startPair({
      handler: async (_request, { report }) => {
        report({ first: 1 });
        report(given);
        report({ first: 2 });
        return 1;
      },
    });
    await collect(pair.client.generate({ count: 1 }));
    const line = pair.workerLines.find(({ message }) => message === "request completed");
    expect(line).toMatchObject({ first: 2, f0: "x".repeat(1_024) });
    expect(Object.keys(line ?? {}).filter((name) => /^f\d/.test(name))).toHaveLength(63);
  });

  test("that cannot travel stay on the worker's line", async () => {
    await using pair = await startPair({
      handler: async (_request, { report }) => {
        report({ nothing: Number.NaN, list: [1] as unknown as string, "a name": "a", good: "yes" });
        return 1;
      },
    });
    const answer = pair.client.generate({ count: 1 });
    await collect(answer);
    expect(answer.trailer.facts).toEqual({ good: "yes" });
    expect(pair.workerLines.find(({ message }) => message === "request completed")).toMatchObject({ "a name": "a" });
  });
});

describe("the limits of facts", () => {
  test("are 32 facts, 256 characters of a text and 2048 bytes", () => {
    const many = Object.fromEntries(Array.from({ length: 100 }, (_, index) => [`f${index}`, index]));
    expect(Object.keys(keepReported(many) ?? {})).toHaveLength(32);
    expect(keepReported({ long: "ä".repeat(300) })).toEqual({ long: "ä".repeat(256) });
    const texts = Object.fromEntries(Array.from({ length: 32 }, (_, index) => [`f${index}`, "x".repeat(250)]));
    expect(Object.keys(keepReported(texts) ?? {})).toHaveLength(8);
    expect(keepReported({ half: "\ud800" })).toEqual({ half: "\ufffd" });
  });

  test("hold for what a worker sends, whatever that is", () => {
    const facts = {
      __proto__: null,
      ...Object.fromEntries(Array.from({ length: 1_000 }, (_, index) => [`f${index}`, 1])),
    };
    expect(Object.keys(decodeEnd(encodeOwn({ facts })).facts ?? {})).toHaveLength(32);
    for (const odd of ["text", 1, [1], { nested: { deep: 1 } }, { "": 1 }])
      expect(decodeEnd(encodeOwn({ facts: odd }))).not.toHaveProperty("facts");
  });

  test("give way where the frame of an ERROR has no room for them", () => {
    const writer = new FrameWriter();
    writer.maxBodyBytes = 4_096;
    const facts = keepReported(
      Object.fromEntries(Array.from({ length: 7 }, (_, index) => [`f${index}`, "x".repeat(250)])),
    );
    const seen = { request_id: "r", trace_id: "t", span_id: "s", instance_id: "1", attempt: 0 };
    const trailer = { seen, items: 0, elapsed_ms: 1, ...(facts && { facts }) };
    encodeError(writer, 1, {
      code: "internal",
      message: "€".repeat(1_024),
      retryable: false,
      produced: false,
      trailer,
    });
    const body = Buffer.concat(writer.take()).subarray(9);
    expect(body.length).toBeLessThanOrEqual(4_096);
    expect(decodeError(body).trailer).toMatchObject({ seen: { request_id: "r" } });
    expect(decodeError(body).trailer).not.toHaveProperty("facts");
  });
});
