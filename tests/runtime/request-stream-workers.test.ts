// Requests in pieces to workers that are old, refuse them, are lost, or break the rules.
import { describe, expect, test } from "vitest";
import type { Client } from "../../packages/runtime/src/index.ts";
import { frameTypes } from "../../packages/runtime/src/wire/frames.ts";
import * as messages from "../../packages/runtime/src/wire/messages.ts";
import { eventually } from "../support/cluster.ts";
import { failureOf, type RawPeer } from "./peers.ts";
import { firstInstanceId, sendEnd, sendError, sendItem, seenBy, startScriptedWorkers } from "./scripted-workers.ts";
import { pieces, watched, type Upload } from "./uploads.ts";

describe("a request stream to a worker", () => {
  const takes = { capabilities: [messages.requestStreams] };
  const toClient = (workers: { client: unknown }): Client<Upload, unknown> => workers.client as Client<Upload, unknown>;

  test("of a version that takes none is refused with words, and left as it was", async () => {
    await using workers = await startScriptedWorkers({ behave: () => undefined });
    const { items, seen } = watched(pieces(1));
    expect(await failureOf(toClient(workers).call(items))).toMatchObject({
      code: "unimplemented",
      message: "the worker is of a version that takes no request in pieces: upgrade it",
      isRetryableSaid: false, // a handler that throws it on has begun with its own request
    });
    expect(seen.pulled).toBe(0);
  });

  test("of a version that takes none goes to one that does, as while a fleet is upgraded", async () => {
    await using workers = await startScriptedWorkers(
      { behave: () => undefined },
      {
        hello: takes,
        behave(peer, id, message) {
          sendItem(peer, id, "well");
          sendEnd(peer, id, seenBy(message, firstInstanceId + 1n));
        },
      },
    );
    for (let call = 0; call < 3; call += 1) expect(await toClient(workers).call(pieces(1))).toEqual({ text: "well" });
  });

  test("that refuses it, or is lost before it reads, goes to another; to one that has read none", async () => {
    for (const fail of [
      (peer: RawPeer, id: number) => sendError(peer, id, "overloaded"),
      (peer: RawPeer) => peer.socket.destroy(),
    ]) {
      await using workers = await startScriptedWorkers(
        { hello: takes, behave: (peer, id) => fail(peer, id) },
        {
          hello: takes,
          behave(peer, id, message) {
            sendItem(peer, id, "well");
            sendEnd(peer, id, seenBy(message, firstInstanceId + 1n));
          },
        },
      );
      const { items, seen } = watched(pieces(1));
      const answers = await Promise.all([1, 2].map(() => toClient(workers).call(items)));
      expect(answers).toEqual([{ text: "well" }, { text: "well" }]);
      expect(seen.pulled).toBe(0);
    }
  });

  test("that is lost after it has read fails, whatever the policy", async () => {
    await using workers = await startScriptedWorkers(
      ...[1, 2].map(() => ({
        hello: takes,
        behave(peer: RawPeer, id: number) {
          peer.send((writer) => messages.encodeCredit(writer, id, 1));
          const timer = setInterval(() => {
            if (!peer.frames.some(({ type }) => type === frameTypes.ITEMS)) return;
            clearInterval(timer);
            peer.socket.destroy();
          }, 1);
        },
      })),
    );
    const { items, seen } = watched(pieces(10));
    const failure = await failureOf(toClient(workers).call(items, { retry: { attempts: 4 } }));
    expect(failure.code).toBe("disconnected");
    await eventually("its end", () => seen.isReturned);
    expect(seen.pulled).toBe(1);
  });

  test("that grants more than anybody needs, or grants for another request, loses the stream alone", async () => {
    await using workers = await startScriptedWorkers({
      hello: takes,
      behave(peer, id) {
        for (let sent = 0; sent < 2; sent += 1) peer.send((writer) => messages.encodeCredit(writer, id, 2 ** 31));
      },
    });
    const never: Upload = { [Symbol.asyncIterator]: () => ({ next: () => new Promise<never>(() => undefined) }) };
    expect(await failureOf(toClient(workers).call(never))).toMatchObject({ code: "protocol" });
    expect(await failureOf(workers.client.call({ count: 1 }))).toMatchObject({
      code: "protocol",
      message: "CREDIT for a request that is no stream",
    });
    expect(workers.peers[0]?.[0]?.isClosed).toBe(false);
  });

  test("that grants much and reads nothing is sent what its connection may hold, and goes on once it reads", async () => {
    await using workers = await startScriptedWorkers({
      hello: takes,
      behave(peer, id) {
        peer.send((writer) => messages.encodeCredit(writer, id, 2 ** 31 - 1));
        peer.socket.pause();
      },
    });
    const { items, seen } = watched(pieces(600));
    const ended = new AbortController();
    const called = failureOf(toClient(workers).call(items, { signal: ended.signal }));
    await eventually("some of it", () => seen.pulled > 16);
    for (let before = 0; seen.pulled > before;) {
      before = seen.pulled;
      for (let turn = 0; turn < 20; turn += 1) await new Promise((resolve) => setImmediate(resolve));
      expect(seen.pulled).toBeLessThan(400); // 25 MiB, of which the kernel has its part
    }
    for (const peer of workers.peers.flat()) peer.socket.resume();
    await eventually("the rest of it", () => seen.isDone);
    ended.abort();
    expect(await called).toMatchObject({ code: "cancelled" });
  });

  test("sends nothing that its iterable gives once the answer has ended", async () => {
    await using workers = await startScriptedWorkers({
      hello: takes,
      behave(peer, id, message) {
        peer.send((writer) => messages.encodeCredit(writer, id, 1_000));
        sendItem(peer, id, "enough");
        sendEnd(peer, id, seenBy(message));
      },
    });
    const given = Promise.withResolvers<number>();
    const late: Upload = (async function* () {
      yield await given.promise;
    })();
    expect(await toClient(workers).call(late)).toEqual({ text: "enough" });
    given.resolve(1);
    await toClient(workers).call(pieces(0)); // is behind what had been sent
    const sent = workers.peers.flat(2).flatMap(({ frames }) => frames.filter(({ type }) => type === frameTypes.ITEMS));
    expect(sent).toEqual([]);
  });

  test("sends no more than it has credit for, and END after the last", async () => {
    await using workers = await startScriptedWorkers({
      hello: takes,
      behave(peer, id) {
        peer.send((writer) => messages.encodeCredit(writer, id, 10));
      },
    });
    const { items, seen } = watched(pieces(3, 20));
    const called = toClient(workers).call(items);
    const [peer] = await eventually("a connection", () => workers.peers[0]?.length === 1 && workers.peers[0]);
    const types = (): number[] => peer?.frames.map(({ type }) => type).slice(1) ?? [];
    await eventually("an item", () => types().includes(frameTypes.ITEMS));
    expect([types(), seen.pulled]).toEqual([[frameTypes.REQUEST, frameTypes.ITEMS], 1]);
    peer?.send((writer) => messages.encodeCredit(writer, 1, 1_000));
    await eventually("the end", () => types().includes(frameTypes.END));
    expect(seen.isDone).toBe(true);
    if (peer) sendItem(peer, 1, "well");
    if (peer) sendEnd(peer, 1, {});
    expect(await called).toEqual({ text: "well" });
  });
});
