// What waits for a peer that does not read stays bounded, on either end.
import { CallScopes } from "../../packages/runtime/src/trace/call-scope.ts";
import { offTracer } from "../../packages/runtime/src/trace/spans.ts";
import { expect, test } from "vitest";
import { createPlaneServer } from "../../packages/runtime/src/ingress/plane-server.ts";
import { createLogger } from "../support/logger.ts";
import { createRuntimeMetrics } from "../../packages/runtime/src/metrics/runtime-metrics.ts";
import { Connection, type ConnectionOptions } from "../../packages/runtime/src/net/connection.ts";
import { FrameWriter } from "../../packages/runtime/src/wire/frame-writer.ts";
import { frameTypes } from "../../packages/runtime/src/wire/frames.ts";
import { encodeHello } from "../../packages/runtime/src/wire/hello.ts";
import * as messages from "../../packages/runtime/src/wire/messages.ts";
import { eventually } from "../support/cluster.ts";
import { hello, memory, openEnds, rawPeer, request } from "./peers.ts";

const mebibyte = 1024 * 1024;
const log = createLogger({ sink: () => undefined });
const { rejections } = createRuntimeMetrics();
const timing = { helloTimeoutMs: 60_000, pingIntervalMs: 60_000 };

function build(times: number, encode: (writer: FrameWriter, index: number) => void): Buffer {
  const writer = new FrameWriter();
  encodeHello(writer, hello);
  for (let index = 0; index < times; index += 1) encode(writer, index);
  return Buffer.concat(writer.take());
}

test.each<[ConnectionOptions["role"]]>([["listener"], ["dialler"]])(
  "a %s answers PINGs of a peer that reads none only up to a limit",
  async (role) => {
    await using ends = await openEnds();
    let most = 0;
    const connection = new Connection(
      ends.near,
      { role, hello, memory, ...timing },
      {
        onFrame: () => undefined,
        onRefused: () => undefined,
        onPong: () => undefined,
        onChunkEnd: () => (most = Math.max(most, connection.queuedBytes)),
        onDrain: () => undefined,
        onClose: () => undefined,
      },
    );
    const pings = 200_000;
    const bytes = build(pings, (writer) => messages.encodePing(writer, "PING", Buffer.alloc(8)));
    ends.far.write(bytes);
    await eventually("all of it being read", () => ends.near.bytesRead === bytes.length);
    expect(most).toBeGreaterThan(mebibyte / 2);
    expect(most).toBeLessThan(2 * mebibyte);
    expect(connection.isOpen).toBe(true);
    const peer = rawPeer(ends.far, role === "dialler");
    ends.far.resume();
    await eventually("the backlog being read", () => connection.queuedBytes === 0);
    peer.send((writer) => messages.encodePing(writer, "PING", Buffer.from("answered")));
    await eventually("an answer", () =>
      peer.frames.some(({ type, body }) => type === frameTypes.PONG && body.toString() === "answered"),
    );
  },
);

test("a listener reads no more requests from a peer that leaves the answers unread, and answers them all once it reads", async () => {
  await using ends = await openEnds();
  const server = createPlaneServer({
    hello,
    memory,
    ...timing,
    log,
    rejections,
    tracer: offTracer,
    scopes: new CallScopes(),
    now: () => performance.now(),
  });
  server.accept(ends.near, Buffer.alloc(0));
  const asked = 30_000;
  ends.far.write(
    build(asked, (writer, index) => messages.encodeRequest(writer, index + 1, { ...request, path: "no/such/thing" })),
  );
  await eventually("the pause", () => ends.near.isPaused());
  expect(ends.near.writableLength).toBeLessThan(3 * mebibyte);
  const peer = rawPeer(ends.far, false);
  ends.far.resume();
  await eventually("all answers", () => peer.frames.length === asked + 1); // and HELLO
  expect(peer.frames.filter(({ type }) => type === frameTypes.ERROR)).toHaveLength(asked);
  await server.close();
});

test("a peer that never reads its answers is given up in the end", async () => {
  await using ends = await openEnds();
  const server = createPlaneServer({
    hello,
    memory,
    ...timing,
    pingIntervalMs: 20,
    log,
    rejections,
    tracer: offTracer,
    scopes: new CallScopes(),
    now: () => performance.now(),
  });
  server.accept(ends.near, Buffer.alloc(0));
  ends.far.write(
    build(30_000, (writer, index) => messages.encodeRequest(writer, index + 1, { ...request, path: "no/such/thing" })),
  );
  await eventually("the pause", () => ends.near.isPaused());
  await eventually("the end", () => ends.near.destroyed);
});
