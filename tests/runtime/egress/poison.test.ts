// A request that takes workers down: how many it gets, what counts as taken, and what those who ran beside it must not suffer.
import { createServer, type AddressInfo } from "node:net";
import { expect, test } from "vitest";
import type { Attempt } from "../../../packages/runtime/src/egress/attempt.ts";
import { Losses } from "../../../packages/runtime/src/egress/losses.ts";
import { LostWorkerError } from "../../../packages/runtime/src/egress/lost-worker.ts";
import { dialWorker } from "../../../packages/runtime/src/egress/dial-worker.ts";
import { RuntimeError } from "../../../packages/runtime/src/errors.ts";
import { encodeHello } from "../../../packages/runtime/src/wire/hello.ts";
import { frameTypes } from "../../../packages/runtime/src/wire/frames.ts";
import { encodeError } from "../../../packages/runtime/src/wire/endings.ts";
import { encodeGoaway } from "../../../packages/runtime/src/wire/messages.ts";
import { eventually } from "../../support/cluster.ts";
import { collect, failureOf, hello, memory, rawPeer, request, type RawPeer } from "../peers.ts";
import {
  firstInstanceId,
  seenBy,
  sendEnd,
  sendError,
  sendItem,
  startScriptedWorkers,
  type Behave,
  type ScriptedWorkers,
} from "../scripted-workers.ts";

const dying: Behave = (peer) => peer.socket.destroy();
const dyingAfterOne: Behave = (peer, id) => {
  sendItem(peer, id, "a");
  peer.socket.end();
};
const refusing: Behave = (peer, id) => sendError(peer, id, "unavailable");
const leaving: Behave = (peer) => {
  peer.send((writer) => encodeGoaway(writer, "draining"));
  peer.socket.end();
};
const tooMany: Behave = (peer) => {
  const refusal = {
    code: "overloaded",
    message: "2 connections are open, the limit",
    retryable: true,
    produced: false,
  } as const;
  peer.send((writer) => encodeError(writer, 0, refusal));
  peer.socket.end();
};
const answering =
  (index: number): Behave =>
  (peer, id, asked) => {
    sendItem(peer, id, `worker ${index}`);
    sendEnd(peer, id, seenBy(asked, firstInstanceId + BigInt(index)));
  };

const requestsAt = (peers: readonly RawPeer[] = []): number =>
  peers.flatMap(({ frames }) => frames).filter(({ type }) => type === frameTypes.REQUEST).length;
const asked = ({ peers }: ScriptedWorkers): number[] => peers.map(requestsAt);
const refusals = (workers: ScriptedWorkers): Promise<number> =>
  workers.readCounter("dynamo_request_plane_poisoned_requests_total");

const others = {
  unreachable: { behave: dying, hello: { instance_id: "1" } },
  gone: { behave: dying, isGone: true },
} as const;

/** Workers that all are registered, so that the first request finds the first of them first. */
async function start(...behaviours: readonly (Behave | keyof typeof others)[]): Promise<ScriptedWorkers> {
  const workers = await startScriptedWorkers(
    ...behaviours.map((each) => (typeof each === "string" ? others[each] : { behave: each })),
  );
  await workers.client.waitForInstances({ count: behaviours.length });
  return workers;
}

test("a request whose worker is lost with nothing delivered is tried once more", async () => {
  await using workers = await start(dying, answering(1), answering(2));
  const answer = workers.client.generate({ count: 1 });
  expect(await collect(answer)).toEqual([{ text: "worker 1" }]);
  expect(asked(workers)).toEqual([1, 1, 0]);
  expect(await refusals(workers)).toBe(0);
});

test("one that has taken two workers is refused by name, and a third worker never sees it", async () => {
  await using workers = await start(dying, dying, answering(2), answering(3));
  const answer = workers.client.generate({ count: 1 }, { xRequestId: "mine" });
  const failure = await failureOf(collect(answer));
  expect(failure).toMatchObject({
    code: "poisoned",
    message: `request ${answer.requestId} is refused: 2 workers were lost while they ran it`,
  });
  expect(asked(workers)).toEqual([1, 1, 0, 0]);
  expect(answer.reports.map(({ outcome }) => outcome)).toEqual(["worker_disconnected", "worker_disconnected"]);
  expect(
    workers.lines.filter(({ message }) => message === "request refused, its workers were lost while they ran it"),
  ).toEqual([
    expect.objectContaining({
      level: "WARN",
      request_id: answer.requestId,
      x_request_id: "mine",
      "error.type": "poisoned",
      lost_workers: "77,78",
    }),
  ]);
  expect(await refusals(workers)).toBe(1);
});

test.each([
  ["refuses it", refusing, "unavailable"],
  ["cannot be reached", "unreachable", "cannot_connect"],
  ["had said that it leaves", leaving, "disconnected"],
  ["has too many connections", tooMany, "disconnected"],
  ["was gone when the request came, as are all of a machine that fails,", "gone", "disconnected"],
] as const)("a worker that %s is not one that it has taken", async (_, innocent, code) => {
  await using workers = await start(dying, innocent, answering(2));
  expect(await collect(workers.client.generate({ count: 1 }))).toEqual([{ text: "worker 2" }]);
  const others = innocent === "unreachable" ? [] : [answering(3)]; // which costs no attempt
  await using alike = await start(innocent, innocent, innocent, ...others);
  expect((await failureOf(collect(alike.client.generate({ count: 1 })))).code).toBe(code);
});

test("two losses are two, whoever refuses it between them", async () => {
  await using workers = await start(dying, refusing, dying, answering(3));
  expect((await failureOf(collect(workers.client.generate({ count: 1 })))).code).toBe("poisoned");
  expect(asked(workers)).toEqual([1, 1, 1, 0]);
});

test("with one worker there is no second loss: it fails as one whose worker was lost", async () => {
  await using workers = await start(dying);
  expect((await failureOf(collect(workers.client.generate({ count: 1 })))).code).toBe("disconnected");
  expect(await refusals(workers)).toBe(0);
});

test("an answer that goes on after each loss may lose as many workers as its caller lets it resume", async () => {
  await using workers = await start(dyingAfterOne, dyingAfterOne, dyingAfterOne, answering(3));
  const answer = workers.client.generate({ count: 1 }, { resume: () => ({ count: 1 }) });
  expect(await collect(answer)).toEqual([{ text: "a" }, { text: "a" }, { text: "a" }, { text: "worker 3" }]);
  expect(answer).toMatchObject({ attempts: 4, retries: 0, resumptions: 3 });
});

test("an answer says how often it was tried anew, and how often it went on, also at a worker that gave nothing", async () => {
  await using workers = await start(dying, dyingAfterOne, answering(2));
  const answer = workers.client.generate({ count: 1 }, { resume: () => ({ count: 1 }) });
  expect(answer).toMatchObject({ attempts: 0, retries: 0, resumptions: 0 });
  await collect(answer);
  expect(answer).toMatchObject({ attempts: 3, retries: 1, resumptions: 1 });
  await using others = await start(dyingAfterOne, dying, answering(2));
  const resumed = others.client.generate({ count: 1 }, { resume: () => ({ count: 1 }) });
  await failureOf(collect(resumed));
  expect(resumed).toMatchObject({ attempts: 2, retries: 0, resumptions: 1 });
});

test("one that has lost two workers and cannot go on is refused by name, although each had given tokens", async () => {
  await using workers = await start(dyingAfterOne, dyingAfterOne, answering(2));
  let left = 1;
  const answer = workers.client.generate({ count: 1 }, { resume: () => (left-- > 0 ? { count: 1 } : undefined) });
  expect(await failureOf(collect(answer))).toMatchObject({ code: "poisoned" });
  expect(asked(workers)).toEqual([1, 1, 0]);
});

test("one that has lost two workers is refused by name, also where its end is that nobody else can be reached", () => {
  const losses = new Losses();
  const lost = new LostWorkerError("the connection ended");
  const end = new RuntimeError("cannot_connect", "nobody is there");
  const add = (id: string): void => losses.add({ instance: { id }, delivered: true } as Attempt, lost);
  add("1");
  expect(losses.toEnd(end, "r")).toBe(end);
  add("2");
  expect(losses.toEnd(end, "r")).toMatchObject({ code: "poisoned", cause: end });
  const cancelled = new RuntimeError("cancelled", "the client has left");
  expect(losses.toEnd(cancelled, "r")).toBe(cancelled);
});

test("after tokens the next worker that gives none is the last", async () => {
  await using workers = await start(dyingAfterOne, dying, answering(2));
  const answer = workers.client.generate({ count: 1 }, { resume: () => ({ count: 1 }) });
  expect(await failureOf(collect(answer))).toMatchObject({ code: "poisoned" });
  expect(asked(workers)).toEqual([1, 1, 0]);
});

// Loses its connection as soon as it has so many requests.
function collapsing(count: number): Behave {
  let held = 0;
  return (peer) => {
    held += 1;
    if (held === count) peer.socket.destroy();
  };
}

test("all that ran on a worker when it was lost are answered elsewhere, however many they are", async () => {
  await using workers = await start(collapsing(50), answering(1));
  const answers = await Promise.all(
    Array.from({ length: 100 }, () =>
      collect(workers.client.generate({ count: 1 })).then(([item]) => (item as { text: string }).text),
    ),
  );
  expect(new Set(answers)).toEqual(new Set(["worker 1"]));
  expect(await refusals(workers)).toBe(0);
});

test("those that ran on two workers in a row when these were lost are refused, those of one of them are not", async () => {
  // Ten each; then the ten of the first go to the two others, five each, and the second is lost with its fifteen.
  await using workers = await start(collapsing(10), collapsing(15), answering(2));
  const ends = await Promise.all(
    Array.from({ length: 30 }, () =>
      collect(workers.client.generate({ count: 1 })).then(
        () => "answered",
        ({ code }: RuntimeError) => code,
      ),
    ),
  );
  expect(ends.filter((end) => end === "answered")).toHaveLength(25);
  expect(ends.filter((end) => end === "poisoned")).toHaveLength(5);
});

test("what is sent to a worker that is silent already has not taken it", async () => {
  const peers: RawPeer[] = [];
  const server = createServer((socket) => {
    const peer = rawPeer(socket, true);
    peers.push(peer);
    peer.send((writer) => encodeHello(writer, { ...hello, instance_id: "77" }));
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const client = await dialWorker({
    key: "77",
    host: "127.0.0.1",
    port: (server.address() as AddressInfo).port,
    hello,
    connectTimeoutMs: 2_000,
    pingIntervalMs: 100,
    isTls: false,
    security: { tokens: undefined, tls: undefined, listenerTls: undefined, serverName: "", tlsDemandedBy: undefined },
    memory,
    onClose: () => undefined,
    onLeave: () => undefined,
    onStall: () => undefined,
  });
  const before = client.open(request);
  await eventually("a ping", () => peers[0]?.frames.some(({ type }) => type === frameTypes.PING));
  const after = client.open(request);
  const failures = await Promise.all([before, after].map((stream) => failureOf(stream.next())));
  expect(failures.map((failure) => [failure.code, failure instanceof LostWorkerError])).toEqual([
    ["disconnected", true],
    ["disconnected", false],
  ]);
  for (const peer of peers) peer[Symbol.dispose]();
  server.close();
});
