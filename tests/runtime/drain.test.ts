// What callers still get when a worker ends.
import { connect } from "node:net";
import { expect, test } from "vitest";
import { decodeError } from "../../packages/runtime/src/wire/endings.ts";
import { frameTypes } from "../../packages/runtime/src/wire/frames.ts";
import { encodeCredit, encodeRequest } from "../../packages/runtime/src/wire/messages.ts";
import { encodePayload } from "../../packages/runtime/src/wire/payload.ts";
import { eventually } from "../support/cluster.ts";
import { greeting, rawPeer, request, startPair } from "./peers.ts";

test("a request that crosses the word of a worker that ends is refused, and not lost: another may be tried, whoever serves it", async () => {
  await using pair = await startPair();
  using peer = rawPeer(connect(pair.port, "127.0.0.1"), false);
  peer.sendBytes(greeting());
  await eventually("its HELLO", () => peer.frames.length > 0);
  const closing = pair.server.close();
  await eventually("its word", () => peer.frames.some(({ type }) => type === frameTypes.GOAWAY));
  for (let turn = 0; turn < 100; turn += 1) await new Promise((resolve) => setImmediate(resolve));
  peer.send((writer) => encodeRequest(writer, 1, request));
  const refusal = await eventually("its answer", () => peer.frames.find(({ type }) => type === frameTypes.ERROR));
  expect(decodeError(refusal.body)).toMatchObject({ code: "unavailable", retryable: true });
  peer.socket.end();
  await closing;
});

test("a caller that is behind with reading gets all of an answer that the worker has finished, though it goes on sending", async () => {
  await using pair = await startPair({ worker: { tcpPingIntervalMs: 60_000 } }); // a caller that never closes is left after 5 s
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
