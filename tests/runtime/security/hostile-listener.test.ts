// Callers with a token, at a worker by hand that knows none: it gets no request.
import { createServer, type AddressInfo } from "node:net";
import { describe, expect, test } from "vitest";
import { createMemoryDiscovery } from "../../../packages/runtime/src/discovery/memory.ts";
import { parseAddress, toEndpointRecord } from "../../../packages/runtime/src/discovery/records.ts";
import { createMemorySpace, createRuntime } from "../../../packages/runtime/src/index.ts";
import { createLogger } from "../../support/logger.ts";
import { frameTypes } from "../../../packages/runtime/src/wire/frames.ts";
import { encodeAuth, encodeHello, type Hello } from "../../../packages/runtime/src/wire/hello.ts";
import * as messages from "../../../packages/runtime/src/wire/messages.ts";
import { eventually } from "../../support/cluster.ts";
import { address, collect, config, failureOf, hello, rawPeer, type RawPeer } from "../peers.ts";

const token = "a-token-of-nobody";

// A worker by hand, behind a record: it greets with a nonce, then answers the dialler's proof in its own way.
async function askHostile(
  answer: (peer: RawPeer, proof: Buffer) => void,
  greeting: Partial<Hello> = { proof_version: 2 },
): Promise<{ failure: string; types: number[] }> {
  const memorySpace = createMemorySpace();
  const peers: RawPeer[] = [];
  const server = createServer((socket) => {
    const peer = rawPeer(socket, true);
    peers.push(peer);
    peer.send((writer) =>
      encodeHello(writer, { ...hello, instance_id: "77", nonce: Buffer.alloc(32, 3), ...greeting }),
    );
    let isAnswered = false;
    socket.on("data", () => {
      const proof = peer.frames.find(({ type }) => type === frameTypes.AUTH);
      if (!proof || isAnswered) return;
      isAnswered = true;
      answer(peer, proof.body);
    });
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const { port } = server.address() as AddressInfo;
  const record = toEndpointRecord(parseAddress(address), 77n, { tcp: `127.0.0.1:${port}`, isTls: false });
  await createMemoryDiscovery(memorySpace, createLogger({ sink: () => undefined })).publish(record);
  await using runtime = await createRuntime({
    config: { ...config, tcpConnectTimeoutMs: 2_000, planeToken: token },
    memorySpace,
    log: createLogger({ sink: () => undefined }).pino,
  });
  const failure = await failureOf(collect(runtime.client<object, unknown>(address).generate({})));
  await eventually("its end", () => peers.every(({ frames }) => frames.at(-1)?.type === frameTypes.ERROR));
  for (const peer of peers) peer[Symbol.dispose]();
  server.close();
  return {
    failure: `${failure.code}: ${failure.message}`,
    types: peers.flatMap(({ frames }) => frames.map(({ type }) => type)),
  };
}

describe("a hostile listener", () => {
  test.each<[string, (peer: RawPeer, proof: Buffer) => void, string]>([
    [
      "sends zeros",
      (peer) => peer.send((writer) => encodeAuth(writer, Buffer.alloc(32))),
      "the listener has another plane token",
    ],
    [
      "sends the dialler's proof back",
      (peer, proof) => peer.send((writer) => encodeAuth(writer, proof)),
      "the listener has another plane token",
    ],
    ["says GOAWAY instead", (peer) => peer.send((writer) => messages.encodeGoaway(writer, "x")), "GOAWAY before AUTH"],
    ["stays silent", () => undefined, "no AUTH from"],
  ])("that %s is not sent a request", async (_name, answer, reason) => {
    const { failure, types } = await askHostile(answer);
    expect(failure).toContain("cannot_connect");
    expect(failure).toContain(reason);
    expect(types).toEqual([frameTypes.HELLO, frameTypes.AUTH, frameTypes.ERROR]);
  });

  test("of the first version of the proof is told so, and gets no proof", async () => {
    const { failure, types } = await askHostile(() => undefined, {});
    expect(failure).toContain("the listener speaks proof version 1, the dialler version 2: upgrade the listener");
    expect(types).toEqual([frameTypes.HELLO, frameTypes.ERROR]);
  });
});
