// Requests in pieces from a dialler that breaks the rules.
import { connect } from "node:net";
import { describe, expect, test } from "vitest";
import { decodeError } from "../../packages/runtime/src/wire/endings.ts";
import { frameTypes } from "../../packages/runtime/src/wire/frames.ts";
import { encodeValueItem } from "../../packages/runtime/src/wire/items.ts";
import * as messages from "../../packages/runtime/src/wire/messages.ts";
import { eventually } from "../support/cluster.ts";
import { collect, frame, greeting, rawPeer, request, type RawPeer } from "./peers.ts";
import { startUploads, windowBytes } from "./uploads.ts";

const asksForStream = { ...request, payload: messages.streamPayload };

function sendItems(peer: RawPeer, id: number, bytes: number): void {
  peer.send((writer) => {
    const mark = writer.beginItems(id);
    encodeValueItem(writer, Buffer.alloc(bytes));
    writer.endItems(id, mark);
  });
}

describe("a dialler that breaks the rules of request streams", () => {
  const faults: [string, (peer: RawPeer) => void, string][] = [
    [
      "ITEMS of a request that is none",
      (peer) => {
        peer.send((writer) => messages.encodeRequest(writer, 1, { ...request, credit: 0 }));
        sendItems(peer, 1, 1);
      },
      "ITEMS of a request that is no stream",
    ],
    [
      "END of a request that is none",
      (peer) => {
        peer.send((writer) => messages.encodeRequest(writer, 1, { ...request, credit: 0 }));
        peer.sendBytes(frame("000000000400000001"));
      },
      "END of a request that is no stream",
    ],
    [
      "ITEMS after END",
      (peer) => {
        peer.send((writer) => messages.encodeRequest(writer, 1, asksForStream));
        peer.sendBytes(frame("000000000400000001"));
        sendItems(peer, 1, 1);
      },
      "ITEMS after the END of a request",
    ],
    [
      "a second END",
      (peer) => {
        peer.send((writer) => messages.encodeRequest(writer, 1, asksForStream));
        peer.sendBytes(frame("000000000400000001".repeat(2)));
      },
      "END after the END of a request",
    ],
    [
      "an END that says something",
      (peer) => {
        peer.send((writer) => messages.encodeRequest(writer, 1, asksForStream));
        peer.sendBytes(frame("000000010400000001c0"));
      },
      "END frame has 1 byte too many",
    ],
    ["ITEMS on a stream never opened", (peer) => sendItems(peer, 9, 1), "never opened"],
  ];

  test.each(faults)("loses its connection: %s", async (_name, attack, reason) => {
    await using at = await startUploads(async (_upload, { signal }) => {
      await new Promise((resolve) => signal.addEventListener("abort", resolve));
    });
    using peer = rawPeer(connect(at.pair.port, "127.0.0.1"), false);
    peer.sendBytes(greeting());
    attack(peer);
    await eventually("the connection ending", () => peer.isClosed);
    const last = peer.frames.at(-1);
    expect(last).toMatchObject({ type: frameTypes.ERROR, id: 0 });
    expect(decodeError(last?.body ?? Buffer.alloc(0)).message).toContain(reason);
  });

  async function attackStream(attack: (peer: RawPeer, isAsked: () => Promise<unknown>) => Promise<void>) {
    await using at = await startUploads(async (upload, { signal }) => {
      const first = await upload[Symbol.asyncIterator]().next();
      await new Promise((resolve) => signal.addEventListener("abort", resolve));
      return first;
    });
    using peer = rawPeer(connect(at.pair.port, "127.0.0.1"), false);
    peer.sendBytes(greeting());
    peer.send((writer) => messages.encodeRequest(writer, 1, asksForStream));
    await attack(peer, () => eventually("credit", () => peer.frames.some(({ type }) => type === frameTypes.CREDIT)));
    const error = await eventually("its ERROR", () =>
      peer.frames.find(({ type, id }) => type === frameTypes.ERROR && id === 1),
    );
    peer.send((writer) => messages.encodePing(writer, "PING", Buffer.from("answered")));
    await eventually("an answer", () => peer.frames.some(({ type }) => type === frameTypes.PONG));
    await eventually("all memory given back", () => at.pair.server.memory.usedBytes === 0);
    return decodeError(error.body);
  }

  test("loses the stream alone: ITEMS beyond its credit, which nobody keeps", async () => {
    const error = await attackStream(async (peer, isAsked) => {
      await isAsked();
      for (let sent = 0; sent < 8; sent += 1) sendItems(peer, 1, windowBytes / 4);
    });
    expect(error).toMatchObject({
      code: "protocol",
      message: "request stream refused: items beyond the granted credit",
    });
  });

  test("loses the stream alone: ITEMS before there is any", async () => {
    const release = Promise.withResolvers<void>();
    await using at = await startUploads(
      async (upload) => {
        await release.promise;
        return collect(upload);
      },
      { worker: { engineRequestLimit: 1 } },
    );
    using peer = rawPeer(connect(at.pair.port, "127.0.0.1"), false);
    peer.sendBytes(greeting());
    peer.send((writer) => messages.encodeRequest(writer, 1, asksForStream));
    sendItems(peer, 1, 1);
    release.resolve();
    const error = await eventually("its ERROR", () => peer.frames.find(({ type }) => type === frameTypes.ERROR));
    expect(error.id).toBe(1);
    expect(decodeError(error.body)).toMatchObject({
      code: "protocol",
      message: "request stream refused: items beyond the granted credit",
    });
  });

  test("loses the stream alone: an item that is cut short, or no msgpack", async () => {
    for (const bytes of ["00000005030000000100000000ff", "0000000603000000010000000001c1"]) {
      const error = await attackStream(async (peer, isAsked) => {
        await isAsked();
        peer.sendBytes(frame(bytes));
      });
      expect(error.code).toBe("protocol");
    }
  });

  test("cannot make a worker keep what there is no memory for", async () => {
    await using at = await startUploads(
      async (upload, { signal }) => {
        await upload[Symbol.asyncIterator]().next();
        await new Promise((resolve) => signal.addEventListener("abort", resolve));
      },
      { worker: { memoryLimitBytes: 1024 * 1024 } },
    );
    using peer = rawPeer(connect(at.pair.port, "127.0.0.1"), false);
    peer.sendBytes(greeting());
    for (let id = 1; id <= 8; id += 1) peer.send((writer) => messages.encodeRequest(writer, id, asksForStream));
    await eventually("credit", () => peer.frames.filter(({ type }) => type === frameTypes.CREDIT).length === 8);
    for (let id = 1; id <= 8; id += 1)
      for (let sent = 0; sent < 4; sent += 1) sendItems(peer, id, windowBytes / 4 - 16);
    const error = await eventually("an ERROR", () => peer.frames.find(({ type }) => type === frameTypes.ERROR));
    expect(decodeError(error.body)).toMatchObject({ code: "overloaded" });
    expect(at.pair.server.memory.usedBytes).toBeLessThanOrEqual(1024 * 1024);
    expect(peer.isClosed).toBe(false);
  });
});
