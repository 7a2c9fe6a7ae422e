// What a caller does with workers that mean no good.
import { describe, expect, test } from "vitest";
import { errorTable, type ErrorCode } from "../../packages/runtime/src/error-table.ts";
import { toPublicMessage } from "../../packages/runtime/src/errors.ts";
import { workerCodes } from "../../packages/runtime/src/worker-errors.ts";
import type { SeenIdentity } from "../../packages/runtime/src/trace/identity.ts";
import * as endings from "../../packages/runtime/src/wire/endings.ts";
import * as messages from "../../packages/runtime/src/wire/messages.ts";
import { eventually } from "../support/cluster.ts";
import { collect, failureOf, frame, request, type Ask, type RawPeer } from "./peers.ts";
import { seenBy, sendEnd, sendError, sendItem, startScriptedWorkers } from "./scripted-workers.ts";

describe("a hostile worker costs the request a clear error", () => {
  test.each<[string, (peer: RawPeer, id: number) => void, string]>([
    ["that closes in mid-stream", (peer, id) => (sendItem(peer, id, "a"), peer.socket.end()), "disconnected"],
    ["that resets", (peer) => peer.socket.resetAndDestroy(), "disconnected"],
    ["with items for a stream never opened", (peer, id) => sendItem(peer, id + 5, "a"), "disconnected"],
    ["with garbage items", (peer, id) => peer.sendBytes(frame(`00000001030000000${id}09`)), "protocol"],
    [
      "with a REQUEST of its own",
      (peer, id) => peer.send((writer) => messages.encodeRequest(writer, id, request)),
      "protocol",
    ],
    [
      "with an unknown error code",
      (peer, id) =>
        peer.send((writer) =>
          endings.encodeError(writer, id, {
            code: "weird" as "internal",
            message: "x",
            retryable: false,
            produced: false,
          }),
        ),
      "internal",
    ],
    [
      "that sends beyond its credit",
      (peer, id) => Array.from({ length: 40 }, () => sendItem(peer, id, "x".repeat(20_000))),
      "protocol",
    ],
  ])("%s", async (_name, behave, code) => {
    await using worker = await startScriptedWorkers({ behave });
    const batches = worker.client.generate({ count: 1 }).batches();
    const drainSlowly = async (): Promise<void> => {
      for await (const _ of batches) await new Promise((resolve) => setTimeout(resolve, 50));
    };
    expect((await failureOf(drainSlowly())).code).toBe(code);
  });

  test("under another instance's id is not spoken to", async () => {
    await using worker = await startScriptedWorkers({ behave: () => undefined, hello: { instance_id: "78" } });
    expect((await failureOf(collect(worker.client.generate({ count: 1 })))).message).toContain(
      "is instance 78, expected 77",
    );
  });

  test("that says nothing at all runs into the time limit", async () => {
    await using worker = await startScriptedWorkers({ behave: () => undefined });
    expect((await failureOf(collect(worker.client.generate({ count: 1 }, { timeoutMs: 100 })))).code).toBe(
      "deadline_exceeded",
    );
  });

  test("that stops reading holds a bounded number of requests, the rest fail at once", async () => {
    await using worker = await startScriptedWorkers({ behave: (peer) => peer.socket.pause() });
    const before = failureOf(collect(worker.client.generate({ count: 1 })));
    await eventually("the stop", () => worker.peers[0]?.some(({ socket }) => socket.isPaused()));
    const fill = "x".repeat(1024 * 1024);
    const answers = Array.from({ length: 40 }, () =>
      failureOf(collect(worker.client.generate({ count: 1, fill } as Ask))),
    );
    const refused = await Promise.any(answers);
    expect(refused).toMatchObject({
      code: "overloaded",
      message: expect.stringMatching(/^the worker leaves \d+ bytes of requests unread, the limit is 8388608$/),
    });
    const codes = (await Promise.all([before, ...answers])).map(({ code }) => code);
    expect(new Set(codes)).toEqual(new Set(["overloaded", "disconnected"])); // what was sent ends with the heartbeat
  });

  test("with frames after END loses nothing and gains nothing", async () => {
    await using worker = await startScriptedWorkers({
      behave(peer, id, asked) {
        sendItem(peer, id, "a");
        sendEnd(peer, id, seenBy(asked));
        sendItem(peer, id, "b");
        sendEnd(peer, id, {});
      },
    });
    expect(await collect(worker.client.generate({ count: 1 }))).toEqual([{ text: "a" }]);
    expect(await collect(worker.client.generate({ count: 1 }))).toEqual([{ text: "a" }]);
    expect(await worker.readCounter(mismatches)).toBe(0);
  });
});

describe("an error code that is not a worker's to say", () => {
  const other = (Object.keys(errorTable) as ErrorCode[]).filter((code) => !workerCodes.has(code));
  test.each([...other, "weird"])("%s is internal, and the caller's log names it", async (code) => {
    await using worker = await startScriptedWorkers({ behave: (peer, id) => sendError(peer, id, code as ErrorCode) });
    const answer = worker.client.generate({ count: 1 });
    const failure = await failureOf(collect(answer));
    expect(failure).toMatchObject({
      code: "internal",
      message: expect.stringMatching(new RegExp(`${code}.*: as told$`)),
    });
    expect(toPublicMessage(failure)).toBe("Internal server error");
    expect(answer.reports).toMatchObject([{ outcome: "error" }]);
    const failed = worker.lines.find(({ message }) => message === "route request failed");
    expect(failed).toMatchObject({ level: "WARN", "error.type": "internal", error: expect.stringContaining(code) });
  });

  test("and is as long as it likes is cut short", async () => {
    await using worker = await startScriptedWorkers({
      behave: (peer, id) => sendError(peer, id, "x".repeat(1_000_000) as ErrorCode),
    });
    expect((await failureOf(collect(worker.client.generate({ count: 1 })))).message).toBe(
      `"${"x".repeat(64)}" is no error code; the message was: as told`,
    );
  });
});

const mismatches = "dynamo_request_plane_lineage_mismatch_total";
const all = ["request_id", "x_request_id", "trace_id", "parent_id", "instance_id", "attempt"];

describe("what a worker says it saw", () => {
  test.each<[string, (seen: SeenIdentity) => unknown, readonly string[]]>([
    ["another request id", (seen) => ({ ...seen, request_id: "0f4ac56e-5bd1-4657-bf8b-39cdcde9036b" }), ["request_id"]],
    ["another id of the client's", (seen) => ({ ...seen, x_request_id: "yours" }), ["x_request_id"]],
    ["no id of the client's", (seen) => ({ ...seen, x_request_id: undefined }), ["x_request_id"]],
    [
      "another trace and parent",
      (seen) => ({ ...seen, trace_id: "0".repeat(32), parent_id: seen.span_id }),
      ["trace_id", "parent_id"],
    ],
    ["another instance", (seen) => ({ ...seen, instance_id: "78" }), ["instance_id"]],
    ["another attempt", (seen) => ({ ...seen, attempt: 1 }), ["attempt"]],
    ["numbers for text", (seen) => ({ ...seen, instance_id: 77 }), ["instance_id"]],
    ["nothing", () => ({}), all],
    ["no ids at all", () => undefined, all],
    ["a text instead of ids", () => "as sent", all],
  ])("%s: counted once, warned of once, and delivered", async (_name, change, mismatch) => {
    await using worker = await startScriptedWorkers({
      behave(peer, id, asked) {
        sendItem(peer, id, "a");
        sendEnd(peer, id, change(seenBy(asked)));
      },
    });
    const answer = worker.client.generate({ count: 1 }, { xRequestId: "mine" });
    expect(await collect(answer)).toEqual([{ text: "a" }]);
    expect(await worker.readCounter(mismatches)).toBe(1);
    const warnings = worker.lines.filter(({ message }) => message === "worker saw other ids than were sent");
    expect(warnings).toMatchObject([
      {
        level: "WARN",
        request_id: answer.requestId,
        x_request_id: "mine",
        worker_id: "77",
        mismatch: mismatch.join(","),
      },
    ]);
  });

  test("is kept and logged no longer than an honest worker's", async () => {
    const long = "x".repeat(1_000_000);
    const bad = { request_id: long, trace_id: [long], parent_id: { long }, instance_id: 77, [long]: long, other: long };
    await using worker = await startScriptedWorkers({ behave: (peer, id) => sendEnd(peer, id, bad) });
    const answer = worker.client.generate({ count: 1 });
    await collect(answer);
    const seen = {
      request_id: `${"x".repeat(256)}…`,
      trace_id: "a value of type object",
      parent_id: "a value of type object",
      instance_id: 77,
    };
    expect(answer.trailer.seen).toEqual(seen);
    const line = worker.lines.find(({ message }) => message === "worker saw other ids than were sent");
    expect(line).toMatchObject({ seen, mismatch: "request_id,trace_id,parent_id,instance_id,attempt" });
    expect(JSON.stringify(line).length).toBeLessThan(2_000);
  });

  test("is not asked of one that refused the request or is lost", async () => {
    await using worker = await startScriptedWorkers({
      behave: (peer, id) => (id === 1 ? sendError(peer, id, "invalid_argument") : peer.socket.destroy()),
    });
    expect((await failureOf(collect(worker.client.generate({ count: 1 })))).code).toBe("invalid_argument");
    expect((await failureOf(collect(worker.client.generate({ count: 1 })))).code).toBe("disconnected");
    expect(await worker.readCounter(mismatches)).toBe(0);
  });
});
