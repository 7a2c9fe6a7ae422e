// The memory that requests may take of a worker: taken when they arrive, given back when they are over.
import { connect } from "node:net";
import { expect, test } from "vitest";
import { createMemoryBudget } from "../../../packages/runtime/src/memory-budget.ts";
import { createRuntimeMetrics } from "../../../packages/runtime/src/metrics/runtime-metrics.ts";
import { Connection } from "../../../packages/runtime/src/net/connection.ts";
import { frameHeaderBytes, frameTypes } from "../../../packages/runtime/src/wire/frames.ts";
import { decodeError } from "../../../packages/runtime/src/wire/endings.ts";
import { encodePing, encodeRequest } from "../../../packages/runtime/src/wire/messages.ts";
import { eventually } from "../../support/cluster.ts";
import { requestHeader } from "../bytes.ts";
import {
  collect,
  failureOf,
  greeting,
  hello,
  openEnds,
  rawPeer,
  request,
  startPair,
  type Ask,
  type RawPeer,
} from "../peers.ts";

const mib = 1024 * 1024;

/** A request whose payload is a little longer than `bytes`. */
function large(bytes: number): Ask {
  return { count: 1, fill: "x".repeat(bytes) } as Ask;
}

function openRaw(port: number): RawPeer {
  const peer = rawPeer(connect(port, "127.0.0.1"), false);
  peer.sendBytes(greeting());
  return peer;
}

test("requests that do not fit are refused by name, and have their place again when others are over", async () => {
  const release = Promise.withResolvers<void>();
  await using pair = await startPair({
    worker: { memoryLimitBytes: 4 * 1024 * 1024 },
    async *handler() {
      await release.promise;
      yield 1;
    },
  });
  const running = collect(pair.client.generate(large(mib / 2)));
  await eventually("the first one running", () => pair.server.memory.usedBytes > 1.5 * mib);
  const failure = await failureOf(collect(pair.client.generate(large(mib / 2))));
  expect(failure).toMatchObject({
    code: "overloaded",
    message: expect.stringMatching(/^there is no memory for 15\d+ bytes more: 15\d+ are taken/) as string,
  });
  expect(pair.workerLines).toContainEqual(
    expect.objectContaining({ message: "request refused", "error.type": "overloaded" }),
  );
  release.resolve();
  expect(await running).toEqual([1]);
  await eventually("all given back", () => pair.server.memory.usedBytes === 0);
  expect(await collect(pair.client.generate(large(mib / 2)))).toEqual([1]);
  expect(await failureOf(collect(pair.client.generate(large(1.5 * mib))))).toMatchObject({ code: "too_large" });
  expect(pair.caller.memory.usedBytes).toBe(0);
});

test("requests under way that never end are taken from the memory; one that does not fit is refused before it is there, and the connection goes on", async () => {
  await using pair = await startPair({ worker: { memoryLimitBytes: 4 * 1024 * 1024 } });
  using greedy = openRaw(pair.port);
  greedy.sendBytes(Buffer.concat([requestHeader(1, 2.5 * mib), Buffer.alloc(1_000)]));
  await eventually("the frame being known", () => pair.server.memory.usedBytes === 2.5 * mib + frameHeaderBytes);
  using other = openRaw(pair.port);
  other.send((writer) => encodeRequest(writer, 1, { ...request, payload: Buffer.alloc(mib) }));
  const refused = await eventually("the refusal", () => other.frames.find(({ type }) => type === frameTypes.ERROR));
  expect(decodeError(refused.body)).toMatchObject({ code: "overloaded", produced: false });
  other.send((writer) => encodeRequest(writer, 3, request));
  await eventually("an answer on the same connection", () => other.frames.some(({ type }) => type === frameTypes.END));
  greedy[Symbol.dispose]();
  await eventually("all given back", () => pair.server.memory.usedBytes === 0);
});

test.each([
  [true, 1024 * 1024],
  [false, 128 * 1024],
])(
  "what waits for a peer that does not read is taken from the memory; with room for it (%s) up to %i bytes wait",
  async (hasRoom, most) => {
    await using ends = await openEnds();
    const budget = createMemoryBudget(4 * 1024 * 1024, createRuntimeMetrics().memory);
    const others = budget.open();
    if (!hasRoom) for (let left = 16; left > 0; left -= 1) others.take(mib / 4);
    let drained = 0;
    const connection = new Connection(
      ends.near,
      { role: "listener", hello, memory: budget, helloTimeoutMs: 60_000, pingIntervalMs: 60_000 },
      {
        onFrame: () => undefined,
        onRefused: () => undefined,
        onPong: () => undefined,
        onChunkEnd: () => undefined,
        onDrain: () => (drained += 1),
        onClose: () => undefined,
      },
    );
    let steps = 0;
    while (connection.isWritable && steps < 1_000) {
      steps += 1;
      encodePing(connection.writer, "PING", Buffer.alloc(8));
      connection.writer.bytes(Buffer.alloc(16 * 1024));
      connection.flushSoon();
      await new Promise((resolve) => setImmediate(resolve));
    }
    expect(connection.queuedBytes).toBeGreaterThanOrEqual(most);
    expect(connection.queuedBytes).toBeLessThan(most + 64 * 1024);
    others[Symbol.dispose]();
    expect(budget.usedBytes > 0).toBe(hasRoom);
    ends.far.resume();
    await eventually(
      "the peer having read all",
      () => connection.isWritable && drained > 0 && connection.queuedBytes === 0,
    );
    expect(budget.usedBytes).toBe(0);
    connection.end();
  },
);

test("a frame that comes a byte at a time does not keep its memory for ever: its connection is closed", async () => {
  await using pair = await startPair({ worker: { memoryLimitBytes: 4 * 1024 * 1024, tcpPingIntervalMs: 10 } });
  using slow = openRaw(pair.port);
  slow.sendBytes(requestHeader(1, 2 * mib));
  const drip = setInterval(() => slow.sendBytes(Buffer.alloc(1)), 2);
  try {
    await eventually("its memory being taken", () => pair.server.memory.usedBytes === 2 * mib + frameHeaderBytes);
    await eventually("its end", () => slow.isClosed);
  } finally {
    clearInterval(drip);
  }
  expect(pair.server.memory.usedBytes).toBe(0);
  expect(pair.workerLines).toContainEqual(
    expect.objectContaining({
      error: expect.stringMatching(/^a frame from \S+ was not there whole within 600 ms$/) as string,
    }),
  );
});
