// When a peer is taken for dead, and when it is taken for gone.
import { expect, test } from "vitest";
import { Connection } from "../../../packages/runtime/src/net/connection.ts";
import { startTimeLimit } from "../../../packages/runtime/src/lifetime.ts";
import { frameTypes } from "../../../packages/runtime/src/wire/frames.ts";
import { encodeHello } from "../../../packages/runtime/src/wire/hello.ts";
import { encodePing } from "../../../packages/runtime/src/wire/messages.ts";
import { eventually } from "../../support/cluster.ts";
import { hello, memory, openEnds, rawPeer, type Ends, type RawPeer } from "../peers.ts";

interface Opened {
  readonly connection: Connection;
  readonly peer: RawPeer;
  /** How it was closed; undefined as long as it is not. */
  readonly closed: () => { readonly cause: Error | undefined } | undefined;
}

async function open(ends: Ends, pingIntervalMs: number): Promise<Opened> {
  let closed: ReturnType<Opened["closed"]>;
  const connection = new Connection(
    ends.near,
    { role: "listener", hello, memory, helloTimeoutMs: 60_000, pingIntervalMs },
    {
      onFrame: () => undefined,
      onRefused: () => undefined,
      onPong: () => undefined,
      onChunkEnd: () => undefined,
      onDrain: () => undefined,
      onClose: (cause) => (closed = { cause }),
    },
  );
  const peer = rawPeer(ends.far, false);
  peer.send((writer) => encodeHello(writer, hello));
  await connection.ready;
  return { connection, peer, closed: () => closed };
}

function spin(ms: number): void {
  const until = performance.now() + ms;
  while (performance.now() < until);
}

// Each round takes longer than the time between two pings, so that in each the timer is due before the answer has been read.
test("a process that is slow itself does not take a peer that answers for dead", async () => {
  await using ends = await openEnds();
  const { peer, closed } = await open(ends, 20);
  ends.far.resume();
  let answered = 0;
  ends.far.on("data", () => {
    for (; answered < peer.frames.length; answered += 1)
      if (peer.frames[answered]?.type === frameTypes.PING)
        peer.send((writer) => encodePing(writer, "PONG", Buffer.alloc(8)));
  });
  for (let round = 0; round < 20; round += 1) {
    await new Promise((resolve) => setImmediate(resolve));
    spin(25);
  }
  expect(closed()).toBeUndefined();
  expect(peer.frames.filter(({ type }) => type === frameTypes.PING).length).toBeGreaterThan(3);
});

test("what arrives in time is read before the time limit is over, however late the process looks", async () => {
  await using ends = await openEnds();
  const heard = new Promise((resolve) => ends.near.once("data", () => resolve("heard")));
  const over = new Promise((resolve) => startTimeLimit(20, () => resolve("over")));
  await new Promise((resolve) => ends.far.write("x", resolve));
  await new Promise((resolve) => setImmediate(resolve));
  spin(25);
  expect(await Promise.race([heard, over])).toBe("heard");
});

test("a peer that will send no more is gone, though it has not read everything", async () => {
  await using ends = await openEnds();
  const { connection, closed } = await open(ends, 60_000);
  while (connection.queuedBytes === 0 || connection.isWritable) {
    encodePing(connection.writer, "PING", Buffer.alloc(8));
    connection.writer.bytes(Buffer.alloc(64 * 1024));
    connection.flushSoon();
    await new Promise((resolve) => setImmediate(resolve));
  }
  ends.far.end();
  await eventually("the end", () => connection.isClosed);
  expect(closed()).toEqual({ cause: undefined });
  expect(connection.queuedBytes).toBeGreaterThan(0);
});
