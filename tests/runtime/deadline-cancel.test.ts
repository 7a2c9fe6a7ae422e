// Both ends of a request have a clock for its deadline. Whichever is first, the worker says that the time was over, and not that somebody left.
import { connect } from "node:net";
import { describe, expect, test } from "vitest";
import { parseAddress } from "../../packages/runtime/src/discovery/records.ts";
import { createPlaneServer } from "../../packages/runtime/src/ingress/plane-server.ts";
import { createRuntimeMetrics } from "../../packages/runtime/src/metrics/runtime-metrics.ts";
import { CallScopes } from "../../packages/runtime/src/trace/call-scope.ts";
import { offTracer } from "../../packages/runtime/src/trace/spans.ts";
import { decodeError } from "../../packages/runtime/src/wire/endings.ts";
import { frameTypes, preface } from "../../packages/runtime/src/wire/frames.ts";
import { encodeValueItem } from "../../packages/runtime/src/wire/items.ts";
import * as messages from "../../packages/runtime/src/wire/messages.ts";
import { encodePayload } from "../../packages/runtime/src/wire/payload.ts";
import { eventually } from "../support/cluster.ts";
import { createLogger } from "../support/logger.ts";
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
import { startScriptedWorkers } from "./scripted-workers.ts";

const deadlineMs = 600_000;
const asks = { ...request, deadlineMs, payload: encodePayload({ count: 0 }) };
const tooLate = new DOMException("too late", "TimeoutError");

interface Worker extends AsyncDisposable {
  readonly peer: RawPeer;
  /** The clock of the worker, ms. */
  setClock(ms: number): void;
  /** Why handlers were told to stop. */
  readonly reasons: unknown[];
  /** The code with which the request has ended. */
  ended(): Promise<string>;
}

/** A worker with a clock of the test's, and one request that its handler leaves only when it is told to. */
async function startWorker(): Promise<Worker> {
  const log = createLogger({ sink: () => undefined });
  const metrics = createRuntimeMetrics();
  const reasons: unknown[] = [];
  let clock = 1_000;
  const server = createPlaneServer({
    hello,
    helloTimeoutMs: 60_000,
    pingIntervalMs: 60_000,
    memory,
    log,
    rejections: metrics.rejections,
    tracer: offTracer,
    scopes: new CallScopes(),
    now: () => clock,
  });
  let running = 0;
  server.add({
    path,
    address: parseAddress(address),
    instanceId: "1",
    async handler(_request, { signal }) {
      running += 1;
      await new Promise((resolve) => signal.addEventListener("abort", resolve));
      reasons.push(signal.reason);
    },
    encodeItem: encodeValueItem,
    countTokens: () => 1,
    isIdempotent: false,
    log,
    admission: { waiting: 0, enter: () => undefined },
    metrics: metrics.endpoint({
      dynamo_namespace: "test",
      dynamo_component: "echo",
      dynamo_endpoint: "generate",
      worker_id: "1",
      model: undefined,
    }),
  });
  const ends = await openEnds();
  server.accept(ends.near, Buffer.alloc(0));
  const peer = rawPeer(ends.far, false);
  ends.far.resume();
  peer.sendBytes(greeting().subarray(preface.length));
  peer.send((writer) => messages.encodeRequest(writer, 1, asks));
  await eventually("the handler", () => running === 1);
  return {
    peer,
    setClock: (ms) => void (clock = ms),
    reasons,
    async ended() {
      const last = await eventually("the end", () => peer.frames.find(({ type }) => type === frameTypes.ERROR));
      return decodeError(last.body).code;
    },
    async [Symbol.asyncDispose]() {
      await ends[Symbol.asyncDispose]();
      await server.close();
    },
  };
}

describe("a worker that is told to stop", () => {
  test.each([
    ["expired", 1_000, "deadline_exceeded"],
    ["kill", 1_000 + deadlineMs - 1, "cancelled"],
    ["kill", 1_000 + deadlineMs, "deadline_exceeded"],
    ["kill", 1_000 + deadlineMs + 1, "deadline_exceeded"],
  ] as const)("by CANCEL %s at %i ms of its clock ends with %s", async (mode, at, code) => {
    await using worker = await startWorker();
    worker.setClock(at);
    worker.peer.send((writer) => messages.encodeCancel(writer, 1, mode));
    expect(await worker.ended()).toBe(code);
    expect(worker.reasons).toMatchObject([{ code }]);
  });

  test.each([
    [1_000, "cancelled"],
    [1_000 + deadlineMs, "deadline_exceeded"],
  ])("by the end of the connection at %i ms of its clock gives %s as the reason", async (at, code) => {
    await using worker = await startWorker();
    worker.setClock(at);
    worker.peer.socket.destroy();
    await eventually("the end of the handler", () => worker.reasons.length === 1);
    expect(worker.reasons).toMatchObject([{ code }]);
  });
});

test("a caller whose time is over before the worker's says so, and the worker's line, too", async () => {
  const reasons: unknown[] = [];
  await using pair = await startPair({
    async handler(_request, { signal }) {
      await new Promise((resolve) => signal.addEventListener("abort", resolve));
      reasons.push(signal.reason);
    },
  });
  using peer = rawPeer(connect(pair.port, "127.0.0.1"), false);
  peer.sendBytes(greeting());
  peer.send((writer) => messages.encodeRequest(writer, 1, asks));
  peer.send((writer) => messages.encodeCancel(writer, 1, "expired"));
  const completed = await eventually("the worker's line", () =>
    pair.workerLines.find(({ message }) => message === "request completed"),
  );
  expect(completed).toMatchObject({
    level: "ERROR",
    status: "error",
    error_type: "response_timeout",
    error: "the caller waits no longer",
  });
});

describe("a caller", () => {
  test.each([
    [tooLate, [messages.expiredCancels], 2],
    [new Error("user left"), [messages.expiredCancels], 1],
    [tooLate, [], 1], // a worker of before would end the connection
  ])("that stops for %s tells a worker with %j so: CANCEL %i", async (reason, capabilities, mode) => {
    await using workers = await startScriptedWorkers({ hello: { capabilities }, behave: () => undefined });
    const aborter = new AbortController();
    const answer = failureOf(collect(workers.client.generate({ count: 1 }, { signal: aborter.signal })));
    const peer = await eventually("the request", () =>
      workers.peers[0]?.find(({ frames }) => frames.some(({ type }) => type === frameTypes.REQUEST)),
    );
    aborter.abort(reason);
    await answer;
    const cancel = await eventually("CANCEL", () => peer.frames.find(({ type }) => type === frameTypes.CANCEL));
    expect([...cancel.body]).toEqual([mode]);
  });
});
