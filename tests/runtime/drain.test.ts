// What callers still get when a worker ends.
import { connect } from "node:net";
import { expect, test } from "vitest";
import { frameTypes } from "../../packages/runtime/src/wire/frames.ts";
import { encodeCredit, encodeRequest } from "../../packages/runtime/src/wire/messages.ts";
import { encodePayload } from "../../packages/runtime/src/wire/payload.ts";
import { eventually } from "../support/cluster.ts";
import { greeting, rawPeer, request, startPair } from "./peers.ts";

test("a caller that is behind with reading gets all of an answer that the worker has finished, though it goes on sending", async () => {
  await using pair = await startPair();
  const socket = connect(pair.port, "127.0.0.1");
  using peer = rawPeer(socket, false);
  peer.sendBytes(greeting());
  await eventually("its HELLO", () => peer.frames.length > 0);
  socket.pause();
  const payload = encodePayload({ count: 100, size: 10_000 });
  peer.send((writer) => encodeRequest(writer, 1, { ...request, credit: 10_000_000, payload }));
  await eventually("the end of the work", () =>
    pair.workerLines.some(({ message }) => message === "request completed"),
  );
  const closing = pair.server.close();
  for (let round = 0; round < 100; round += 1) {
    peer.send((writer) => encodeCredit(writer, 1, 1_000));
    await new Promise((resolve) => setImmediate(resolve));
  }
  socket.resume();
  await closing;
  await eventually("the end", () => peer.isClosed);
  const items = peer.frames.filter(({ type }) => type === frameTypes.ITEMS);
  expect(items.reduce((bytes, { body }) => bytes + body.length, 0)).toBeGreaterThan(1_000_000);
  expect(peer.frames.some(({ type }) => type === frameTypes.END)).toBe(true);
});
