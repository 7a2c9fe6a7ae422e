// Every limit of the plane, reached.
import { CallScopes } from "../../packages/runtime/src/trace/call-scope.ts";
import { offTracer } from "../../packages/runtime/src/trace/spans.ts";
import { connect, type Socket } from "node:net";
import { describe, expect, test } from "vitest";
import { parseAddress } from "../../packages/runtime/src/discovery/records.ts";
import { RuntimeError } from "../../packages/runtime/src/errors.ts";
import { createPlaneServer } from "../../packages/runtime/src/ingress/plane-server.ts";
import { createLogger } from "../support/logger.ts";
import { createMemorySpace, createRuntime } from "../../packages/runtime/src/index.ts";
import { createRuntimeMetrics } from "../../packages/runtime/src/metrics/runtime-metrics.ts";
import { listen } from "../../packages/runtime/src/net/listener.ts";
import { frameTypes, preface } from "../../packages/runtime/src/wire/frames.ts";
import { encodeValueItem } from "../../packages/runtime/src/wire/items.ts";
import * as endings from "../../packages/runtime/src/wire/endings.ts";
import * as messages from "../../packages/runtime/src/wire/messages.ts";
import { eventually, type Line } from "../support/cluster.ts";
import {
  address,
  collect,
  failureOf,
  greeting,
  hello,
  memory,
  openEnds,
  path,
  rawPeer,
  request,
  startPair,
  type RawPeer,
} from "./peers.ts";

const silent = createLogger({ sink: () => undefined });

describe("the caller's frame limit", () => {
  test("costs the stream of an item over it, and no neighbour", async () => {
    await using pair = await startPair({ caller: { tcpMaxMessageSize: 100_000 } });
    const running = pair.client.generate({ count: 20_000, size: 50 }).batches();
    let items = (await running.next()).value?.length ?? 0;
    expect(await failureOf(collect(pair.client.generate({ count: 1, size: 150_000 })))).toMatchObject({
      code: "too_large",
      message: expect.stringContaining(
        "its reader's limit is 100000, set by DYN_TCP_MAX_MESSAGE_SIZE there: give it in pieces",
      ),
    });
    for await (const batch of running) items += batch.length;
    expect(items).toBe(20_000);
  });

  test("is kept by items that share a frame, at the least limit there is", async () => {
    await using pair = await startPair({ caller: { tcpMaxMessageSize: 4_096 } });
    expect(await collect(pair.client.generate({ count: 5_000, size: 100 }))).toHaveLength(5_000);
    expect(await collect(pair.client.generate({ count: 50, size: 3_000 }))).toHaveLength(50);
  });

  test("is kept by what a failing engine says", async () => {
    await using pair = await startPair({
      caller: { tcpMaxMessageSize: 4_096 },
      async *handler() {
        yield 1;
        throw new RuntimeError("invalid_argument", "\u{20ac}".repeat(5_000));
      },
    });
    const failure = await failureOf(collect(pair.client.generate({ count: 1 }, { xRequestId: "x".repeat(256) })));
    expect(failure).toMatchObject({ code: "invalid_argument", message: "\u{20ac}".repeat(1_024) });
  });
});

describe("the listener's limits", () => {
  test("one connection too many is refused once it has shown that it is a caller's, and there is room again when another has gone", async () => {
    const lines: Line[] = [];
    const accepted: Socket[] = [];
    const refused: unknown[] = [];
    await using listener = await listen({
      host: "127.0.0.1",
      port: 0,
      prefaceTimeoutMs: 60_000,
      maxConnections: 2,
      log: createLogger({ sink: (record) => lines.push(record) }),
      onConnection(socket, _head, admit) {
        try {
          admit();
          accepted.push(socket);
        } catch (error) {
          refused.push(error);
          socket.destroy();
        }
      },
    });
    const open = (): RawPeer => {
      const peer = rawPeer(connect(listener.port, "127.0.0.1"), false);
      peer.sendBytes(preface);
      return peer;
    };
    const [first, second] = [open(), open()];
    await eventually("two connections", () => accepted.length === 2);
    const third = open();
    await eventually("the third being closed", () => third.isClosed);
    expect(refused).toMatchObject([{ code: "overloaded", message: "2 connections are open, the limit" }]);
    expect(lines).toMatchObject([{ level: "WARN", message: "connection refused: too many", limit: 2 }]);
    expect([first.isClosed, second.isClosed]).toEqual([false, false]);
    first[Symbol.dispose]();
    await eventually("room", async () => {
      const fourth = open();
      await eventually("an outcome", () => fourth.isClosed || accepted.length === 3);
      return !fourth.isClosed;
    });
    for (const socket of accepted) socket.destroy();
  });

  test("one stream too many is refused, and there is room again when another has ended", async () => {
    const running = new Set<() => void>();
    const metrics = createRuntimeMetrics();
    const server = createPlaneServer({
      hello: { ...hello, max_streams: 2 },
      helloTimeoutMs: 60_000,
      pingIntervalMs: 60_000,
      memory,
      log: silent,
      rejections: metrics.rejections,
      tracer: offTracer,
      scopes: new CallScopes(),
      now: Date.now,
    });
    server.add({
      path,
      address: parseAddress(address),
      instanceId: "1",
      async *handler() {
        await new Promise<void>((resolve) => running.add(resolve));
        yield 1;
      },
      encodeItem: encodeValueItem,
      countTokens: () => 1,
      isIdempotent: false,
      log: silent,
      admission: { waiting: 0, enter: () => undefined },
      metrics: metrics.endpoint({
        dynamo_namespace: "test",
        dynamo_component: "echo",
        dynamo_endpoint: "generate",
        worker_id: "1",
        model: undefined,
      }),
    });
    await using ends = await openEnds();
    server.accept(ends.near, Buffer.alloc(0));
    const peer = rawPeer(ends.far, false);
    ends.far.resume();
    peer.sendBytes(greeting().subarray(preface.length));
    const codeOf = (id: number): string | undefined => {
      const failure = peer.frames.find((each) => each.id === id && each.type === frameTypes.ERROR);
      return failure && endings.decodeError(failure.body).code;
    };
    for (const id of [1, 2, 3]) peer.send((writer) => messages.encodeRequest(writer, id, request));
    await eventually("the refusal", () => codeOf(3));
    expect([codeOf(1), codeOf(2), codeOf(3)]).toEqual([undefined, undefined, "overloaded"]);
    await eventually("two handlers", () => running.size === 2);
    for (const finish of running) finish();
    await eventually("two ends", () => peer.frames.filter(({ type }) => type === frameTypes.END).length === 2);
    peer.send((writer) => messages.encodeRequest(writer, 4, request));
    await eventually("a third handler", () => running.size === 3);
    expect(codeOf(4)).toBeUndefined();
    await server.close();
  });
});

describe("the settings of the plane's limits", () => {
  const config = { discoveryBackend: "mem" } as const;
  const uri = "dyn://test.limits.generate";

  test("hold for streams and connections", async () => {
    const memorySpace = createMemorySpace();
    await using worker = await createRuntime({
      config: { ...config, tcpMaxStreams: 1, tcpMaxConnections: 1 },
      memorySpace,
      log: silent.pino,
    });
    const { promise: released, resolve: release } = Promise.withResolvers<void>();
    const serving = await worker.endpoint(uri).serve(async function* () {
      yield "begun";
      await released;
    });
    await using caller = await createRuntime({ config, memorySpace, log: silent.pino });
    const client = caller.client<unknown, string>(uri);
    await client.waitForInstances();
    const running = client.generate({}).batches();
    expect((await running.next()).value).toEqual(["begun"]);
    const refusal = {
      code: "overloaded",
      message: expect.stringContaining("1 stream to the worker is open, its limit"),
    };
    expect(await failureOf(collect(client.generate({})))).toMatchObject(refusal);
    const [host = "", port] = serving.address.split("/", 1)[0]?.split(":") ?? [];
    const second = rawPeer(connect(Number(port), host), false);
    second.sendBytes(greeting());
    await eventually("the second connection being closed", () => second.isClosed);
    expect(endings.decodeError(second.frames.at(-1)?.body ?? Buffer.alloc(0))).toMatchObject({ code: "overloaded" });
    release();
    for await (const batch of running) expect(batch).toEqual([]);
  });

  test("hold for frames that are accepted", async () => {
    const memorySpace = createMemorySpace();
    await using worker = await createRuntime({
      config: { ...config, tcpMaxMessageSize: 4_096 },
      memorySpace,
      log: silent.pino,
    });
    await worker.endpoint(uri).serve(async function* () {
      yield 1;
    });
    await using caller = await createRuntime({ config, memorySpace, log: silent.pino });
    const client = caller.client<string, number>(uri);
    await client.waitForInstances();
    expect(await failureOf(collect(client.generate("x".repeat(5_000))))).toMatchObject({
      code: "too_large",
      message: expect.stringContaining(
        "the worker's limit is 4096, set by its DYN_TCP_MAX_MESSAGE_SIZE: send it in pieces",
      ),
    });
    expect(await collect(client.generate("x"))).toEqual([1]);
  });
});
