// Requests that are sent in pieces: as the handler reads them, so that neither end holds more than a window.
import { Readable } from "node:stream";
import { describe, expect, test } from "vitest";
import { eventually } from "../support/cluster.ts";
import { createLogger } from "../support/logger.ts";
import { createMemorySpace, createRuntime } from "../../packages/runtime/src/index.ts";
import { serveModel } from "../../packages/runtime/src/llm.ts";
import { collect, failureOf } from "./peers.ts";
import {
  gather,
  pieceBytes,
  pieces,
  startUploads,
  watched,
  windowBytes,
  type Upload,
  type UploadHandler,
} from "./uploads.ts";

describe("a request stream", () => {
  test("arrives whole and in order, whatever its items are, and is a success at both ends", async () => {
    await using at = await startUploads(gather);
    const sent = [1, "two", new Uint8Array([3]), { four: [5] }, null, new Date(6)];
    expect(await at.client.call(Readable.from(sent.map((item) => item ?? { none: true })))).toEqual(
      sent.map((item) => item ?? { none: true }),
    );
    expect(await collect(at.client.generate(Readable.from([7])))).toEqual([[7]]);
    const ended = await eventually("all lines", () => {
      const lines = at.pair.lines.filter(({ message }) => String(message).endsWith("request completed"));
      return lines.length === 4 && lines;
    });
    for (const line of ended) expect([line["status"], line["request.outcome"]]).toContain("success");
  });

  test("of no items arrives as one", async () => {
    await using at = await startUploads(gather);
    expect(await at.client.call(Readable.from([]))).toEqual([]);
  });

  test("many times as large as a frame may be, and as the memory for requests, passes through", async () => {
    const worker = { tcpMaxMessageSize: 1024 * 1024, memoryLimitBytes: 8 * 1024 * 1024 };
    let most = 0;
    await using at = await startUploads(
      async (upload) => {
        let bytes = 0;
        for await (const piece of upload) {
          bytes += (piece as Uint8Array).length;
          most = Math.max(most, at.pair.server.memory.usedBytes, at.pair.caller.memory.usedBytes);
        }
        return bytes;
      },
      { worker, caller: worker },
    );
    const count = 1_024; // 64 MiB
    const { items, seen } = watched(pieces(count));
    expect(await at.client.call(items)).toBe(count * pieceBytes);
    expect(seen).toMatchObject({ pulled: count, isDone: true });
    expect(most).toBeLessThan(4 * 1024 * 1024);
    await eventually("all memory given back", () => at.pair.server.memory.usedBytes === 0);
  });

  test("waits for a handler that is slow: no more is asked for than a window", async () => {
    const [reading, release] = [Promise.withResolvers<void>(), Promise.withResolvers<void>()];
    await using at = await startUploads(async (upload) => {
      let count = 0;
      for await (const _ of upload) {
        count += 1;
        if (count > 1) continue;
        reading.resolve();
        await release.promise;
      }
      return count;
    });
    const { items, seen } = watched(pieces(100));
    const called = at.client.call(items);
    await reading.promise;
    // What the other requests of this connection get is behind all that could be sent.
    await eventually("a window", () => seen.pulled * pieceBytes >= windowBytes);
    for (let round = 0; round < 20; round += 1) await new Promise(setImmediate);
    expect(seen.pulled * pieceBytes).toBeLessThanOrEqual(windowBytes + pieceBytes);
    release.resolve();
    expect(await called).toBe(100);
  });

  test("of very large pieces holds up other requests to that worker, and lets none of them be refused", async () => {
    await using at = await startUploads(async (upload: unknown) =>
      upload instanceof Uint8Array ? "whole" : (await collect(upload as Upload)).length,
    );
    const state = { isOver: false };
    const sent = at.client.call(pieces(4, 16 * 1024 * 1024)).finally(() => (state.isOver = true));
    const whole = new Uint8Array(2 * 1024 * 1024) as unknown as Upload;
    while (!state.isOver) {
      expect(await at.client.call(whole)).toBe("whole");
      await new Promise(setImmediate);
    }
    expect(await sent).toBe(4);
  });

  test("is not read before its handler reads: nothing of a request that waits for its turn has been asked for", async () => {
    const release = Promise.withResolvers<void>();
    let running = 0;
    const handler: UploadHandler = async (upload) => {
      running += 1;
      await release.promise;
      return collect(upload);
    };
    await using at = await startUploads(handler, { worker: { engineRequestLimit: 1 } });
    const [first, second] = [watched(pieces(2, 1)), watched(pieces(2, 1))];
    const calls = [at.client.call(first.items), at.client.call(second.items)];
    await eventually(
      "both there",
      () => at.pair.workerLines.filter(({ message }) => message === "request received").length === 2,
    );
    expect([running, first.seen.pulled, second.seen.pulled]).toEqual([1, 0, 0]);
    release.resolve();
    expect(await Promise.all(calls)).toHaveLength(2);
  });

  test("that its handler leaves early ends well, and its iterable is told to stop", async () => {
    await using at = await startUploads(async (upload) => {
      for await (const piece of upload) return (piece as Uint8Array).length;
      return 0;
    });
    const { items, seen } = watched(pieces(1_000));
    expect(await at.client.call(items)).toBe(pieceBytes);
    await eventually("its end", () => seen.isReturned);
    expect(seen.isDone).toBe(false);
    expect(await at.client.call(pieces(1))).toBe(pieceBytes); // the connection is well
  });

  test("of which its handler has read enough is held no longer, though the handler goes on", async () => {
    const [left, over] = [Promise.withResolvers<void>(), Promise.withResolvers<void>()];
    await using at = await startUploads(async (upload) => {
      for await (const _ of upload) break;
      left.resolve();
      await over.promise;
      return "enough";
    });
    const called = at.client.call(pieces(3));
    await left.promise;
    await eventually("memory given back", () => at.pair.server.memory.usedBytes < pieceBytes);
    over.resolve();
    expect(await called).toBe("enough");
  });

  test("of which its handler keeps the iterator takes no memory once the request is over, and gives nothing more", async () => {
    let kept: AsyncIterator<unknown> | undefined;
    await using at = await startUploads(async (upload) => {
      kept = upload[Symbol.asyncIterator]();
      await kept.next();
      return "enough";
    });
    expect(await at.client.call(pieces(3))).toBe("enough");
    await eventually("memory given back", () => at.pair.server.memory.usedBytes === 0);
    const rest = async (): Promise<void> => {
      while (!(await kept?.next())?.done);
    };
    expect(await failureOf(rest())).toMatchObject({ code: "cancelled", message: "the request is over" });
  });

  test("that its handler never reads ends well, and is left as it was", async () => {
    await using at = await startUploads(async () => "no, thanks");
    const { items, seen } = watched(pieces(1));
    expect(await at.client.call(items)).toBe("no, thanks");
    expect(seen).toEqual({ pulled: 0, isReturned: false, isDone: false });
  });

  test("can be passed on to another endpoint as it comes", async () => {
    await using store = await startUploads(gather);
    await using proxy = await startUploads(async (upload) => store.client.call(upload));
    const { items, seen } = watched(pieces(20, 10));
    expect(await proxy.client.call(items)).toHaveLength(20);
    expect(seen.isDone).toBe(true);
  });

  test("is no request for a model, which says so", async () => {
    const memorySpace = createMemorySpace();
    await using runtime = await createRuntime({
      config: { discoveryBackend: "mem" },
      memorySpace,
      log: createLogger({ sink: () => undefined }).pino,
    });
    await serveModel(runtime, { model: "mock" }, async function* () {
      yield { text: "never" };
    });
    const { items, seen } = watched(pieces(1));
    const called = runtime.client("dyn://dynamo.backend.generate").call(items);
    expect(await failureOf(called)).toMatchObject({ code: "invalid_argument" });
    expect(seen.pulled).toBe(0);
  });

  test("can be answered while it is sent", async () => {
    await using at = await startUploads(async function* (upload) {
      for await (const item of upload) yield { heard: item };
    });
    let says: (word: string) => void = () => undefined;
    const next = (): Promise<string> => new Promise((resolve) => (says = resolve));
    const answer = at.client.generate(
      (async function* () {
        for (let word = await next(); word !== "bye"; word = await next()) yield word;
      })(),
    );
    const heard: unknown[] = [];
    const read = (async () => {
      for await (const item of answer) heard.push(item);
    })();
    for (const word of ["a", "b", "bye"]) {
      await eventually("the question", () => says !== undefined && heard.length === ["a", "b", "bye"].indexOf(word));
      for (let round = 0; round < 10; round += 1) await new Promise(setImmediate);
      says(word);
    }
    await read;
    expect(heard).toEqual([{ heard: "a" }, { heard: "b" }]);
  });
});
