// What a caller does with workers that mean no good.
import { createServer, type AddressInfo } from "node:net";
import { describe, expect, test } from "vitest";
import { createMemoryDiscovery } from "../../packages/runtime/src/discovery/memory.ts";
import { createMemorySpace, createRuntime, type Client } from "../../packages/runtime/src/index.ts";
import { createLogger } from "../../packages/runtime/src/logging/logger.ts";
import { frameTypes } from "../../packages/runtime/src/wire/frames.ts";
import { encodeDeltaItem } from "../../packages/runtime/src/wire/items.ts";
import * as messages from "../../packages/runtime/src/wire/messages.ts";
import { eventually } from "../cluster.ts";
import { address, collect, config, failureOf, frame, hello, rawPeer, request, type Ask, type RawPeer } from "./peers.ts";

interface HostileWorker extends AsyncDisposable {
  readonly client: Client<Ask, unknown>;
  /** Its ends of the connections so far. */
  readonly peers: readonly RawPeer[];
}

const instanceId = 77n;

async function startHostileWorker(behave: (peer: RawPeer, id: number) => void, greets = "77"): Promise<HostileWorker> {
  const space = createMemorySpace();
  const peers: RawPeer[] = [];
  const server = createServer((socket) => {
    const peer = rawPeer(socket, true);
    peers.push(peer);
    peer.send((writer) => messages.encodeHello(writer, { ...hello, instance_id: greets }));
    let answered = 0;
    socket.on("data", () => {
      const requests = peer.frames.filter(({ type }) => type === frameTypes.REQUEST);
      for (; answered < requests.length; answered += 1) behave(peer, requests[answered]?.id ?? 0);
    });
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const { port } = server.address() as AddressInfo;
  const discovery = createMemoryDiscovery(space);
  await discovery.publish({
    type: "Endpoint",
    namespace: "test",
    component: "echo",
    endpoint: "generate",
    instance_id: instanceId,
    transport: { tcp: `127.0.0.1:${port}/x` },
    dyn_plane: 1,
  });
  const runtime = await createRuntime({ config, memorySpace: space, log: createLogger({ sink: () => undefined }) });
  return {
    client: runtime.client<Ask, unknown>(address),
    peers,
    async [Symbol.asyncDispose]() {
      await runtime[Symbol.asyncDispose]();
      for (const peer of peers) peer[Symbol.dispose]();
      server.close();
    },
  };
}

function sendItem(peer: RawPeer, id: number, text: string): void {
  peer.send((writer) => {
    const mark = writer.beginItems(id);
    encodeDeltaItem(writer, { text });
    writer.endItems(id, mark);
  });
}

describe("a hostile worker costs the request a clear error", () => {
  const trailer = { seen: {} as never, items: 0, elapsed_ms: 0 };
  test.each<[string, (peer: RawPeer, id: number) => void, string]>([
    ["that closes in mid-stream", (peer, id) => (sendItem(peer, id, "a"), peer.socket.end()), "disconnected"],
    ["that resets", (peer) => peer.socket.resetAndDestroy(), "disconnected"],
    ["with items for a stream never opened", (peer, id) => sendItem(peer, id + 5, "a"), "disconnected"],
    ["with garbage items", (peer, id) => peer.sendBytes(frame(`00000001030000000${id}09`)), "protocol"],
    ["with a REQUEST of its own", (peer, id) => peer.send((writer) => messages.encodeRequest(writer, id, request)), "protocol"],
    [
      "with an unknown error code",
      (peer, id) =>
        peer.send((writer) => messages.encodeError(writer, id, { code: "weird" as "internal", message: "x", retryable: false, produced: false })),
      "internal",
    ],
    ["that sends beyond its credit", (peer, id) => Array.from({ length: 40 }, () => sendItem(peer, id, "x".repeat(20_000))), "protocol"],
  ])("%s", async (_name, behave, code) => {
    await using worker = await startHostileWorker(behave);
    const batches = worker.client.generate({ count: 1 }).batches();
    const drainSlowly = async (): Promise<void> => {
      for await (const _ of batches) await new Promise((resolve) => setTimeout(resolve, 50));
    };
    expect((await failureOf(drainSlowly())).code).toBe(code);
  });

  test("under another instance's id is not spoken to", async () => {
    await using worker = await startHostileWorker(() => undefined, "78");
    expect((await failureOf(collect(worker.client.generate({ count: 1 })))).message).toContain("is instance 78, expected 77");
  });

  test("that says nothing at all runs into the time limit", async () => {
    await using worker = await startHostileWorker(() => undefined);
    expect((await failureOf(collect(worker.client.generate({ count: 1 }, { timeoutMs: 100 })))).code).toBe("deadline_exceeded");
  });

  test("that stops reading holds a bounded number of requests, the rest fail at once", async () => {
    await using worker = await startHostileWorker((peer) => peer.socket.pause());
    const before = failureOf(collect(worker.client.generate({ count: 1 })));
    await eventually("the stop", () => worker.peers.some(({ socket }) => socket.isPaused()));
    const fill = "x".repeat(1024 * 1024);
    const answers = Array.from({ length: 40 }, () => failureOf(collect(worker.client.generate({ count: 1, fill } as Ask))));
    const refused = await Promise.any(answers);
    expect(refused).toMatchObject({
      code: "overloaded",
      message: expect.stringMatching(/^the worker leaves \d+ bytes of requests unread, the limit is 8388608$/),
    });
    const codes = (await Promise.all([before, ...answers])).map(({ code }) => code);
    expect(new Set(codes)).toEqual(new Set(["overloaded", "disconnected"])); // what was sent ends with the heartbeat
  });

  test("with frames after END loses nothing and gains nothing", async () => {
    await using worker = await startHostileWorker((peer, id) => {
      sendItem(peer, id, "a");
      peer.send((writer) => messages.encodeEnd(writer, id, trailer));
      sendItem(peer, id, "b");
      peer.send((writer) => messages.encodeEnd(writer, id, trailer));
    });
    expect(await collect(worker.client.generate({ count: 1 }))).toEqual([{ text: "a" }]);
    expect(await collect(worker.client.generate({ count: 1 }))).toEqual([{ text: "a" }]);
  });
});
