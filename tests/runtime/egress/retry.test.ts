// Which failures go to another worker, how often, and who is asked no more.
import { describe, expect, test } from "vitest";
import { frameTypes } from "../../../packages/runtime/src/wire/frames.ts";
import * as endings from "../../../packages/runtime/src/wire/endings.ts";
import * as messages from "../../../packages/runtime/src/wire/messages.ts";
import { eventually } from "../../support/cluster.ts";
import { collect, failureOf } from "../peers.ts";
import {
  firstInstanceId,
  seenBy,
  sendEnd,
  sendError,
  sendItem,
  startScriptedWorkers,
  type ScriptedWorker,
  type ScriptedWorkers,
} from "../scripted-workers.ts";

function refuses(code: endings.ErrorMessage["code"]): ScriptedWorker {
  return { isIdempotent: false, behave: (peer, id) => sendError(peer, id, code) };
}

function answers(index: number): ScriptedWorker {
  return {
    behave(peer, id, asked) {
      sendItem(peer, id, `worker ${index}`);
      sendEnd(peer, id, seenBy(asked, firstInstanceId + BigInt(index)));
    },
  };
}

/** The `attempt` of each REQUEST that the worker has got. */
function attemptsAt(workers: ScriptedWorkers, index: number): number[] {
  const frames = (workers.peers[index] ?? []).flatMap((peer) => peer.frames);
  return frames
    .filter(({ type }) => type === frameTypes.REQUEST)
    .map(({ body }) => messages.decodeRequest(body).attempt);
}

describe("a request that a worker refuses", () => {
  test.each(["unavailable", "overloaded"] as const)("with %s goes to another", async (code) => {
    await using workers = await startScriptedWorkers(refuses(code), answers(1));
    for (let time = 0; time < 2; time += 1) {
      const answer = workers.client.generate({ count: 1 });
      expect(await collect(answer)).toEqual([{ text: "worker 1" }]);
    }
    const [first, second] = [attemptsAt(workers, 0), attemptsAt(workers, 1)];
    expect(first.length).toBeGreaterThan(0);
    expect(second.filter((attempt) => attempt === 1)).toHaveLength(first.length);
  });

  test.each(["invalid_argument", "internal", "deadline_exceeded", "protocol"] as const)(
    "with %s goes nowhere else",
    async (code) => {
      await using workers = await startScriptedWorkers(refuses(code), refuses(code));
      const answer = workers.client.generate({ count: 1 });
      expect((await failureOf(collect(answer))).code).toBe(code);
      expect(answer.attempts).toBe(1);
    },
  );

  test("after it has sent an item goes nowhere else", async () => {
    const fails: ScriptedWorker = {
      behave: (peer, id) => (sendItem(peer, id, "half"), sendError(peer, id, "unavailable")),
    };
    await using workers = await startScriptedWorkers(fails, fails);
    const answer = workers.client.generate({ count: 1 });
    expect((await failureOf(collect(answer))).code).toBe("unavailable");
    expect(answer.attempts).toBe(1);
  });

  test("is tried three times in all, each time elsewhere", async () => {
    await using workers = await startScriptedWorkers(
      refuses("unavailable"),
      refuses("unavailable"),
      refuses("unavailable"),
      refuses("unavailable"),
    );
    const answer = workers.client.generate({ count: 1 });
    expect((await failureOf(collect(answer))).code).toBe("unavailable");
    expect(answer).toMatchObject({ attempts: 3, retries: 2, resumptions: 0 });
    const attempts = [0, 1, 2, 3].map((index) => attemptsAt(workers, index));
    expect(attempts.flat().toSorted((left, right) => left - right)).toEqual([0, 1, 2]);
    for (const each of attempts) expect(each.length).toBeLessThanOrEqual(1);
  });

  test("fails as the last one said if nobody is left", async () => {
    await using workers = await startScriptedWorkers(refuses("overloaded"));
    const answer = workers.client.generate({ count: 1 });
    expect(await failureOf(collect(answer))).toMatchObject({ code: "overloaded", message: "as told" });
    expect(answer.attempts).toBe(1);
  });
});

describe("GOAWAY", () => {
  test("ends new requests on its connection, not those that run, and then the connection", async () => {
    const streams: number[] = [];
    const leaving: ScriptedWorker = {
      behave(peer, id) {
        streams.push(id);
        peer.send((writer) => messages.encodeGoaway(writer, "draining"));
        sendItem(peer, id, "first");
      },
    };
    await using workers = await startScriptedWorkers(leaving, answers(1));
    const running = workers.client.generate({ count: 1 }).batches();
    expect((await running.next()).value).toEqual([{ text: "first" }]);
    for (let time = 0; time < 4; time += 1) {
      expect(await collect(workers.client.generate({ count: 1 }))).toEqual([{ text: "worker 1" }]);
    }
    expect(streams).toEqual([1]);
    const [peer] = workers.peers[0] ?? [];
    expect(peer?.isClosed).toBe(false);
    const asked = peer?.frames.find(({ type }) => type === frameTypes.REQUEST);
    if (peer && asked) sendItem(peer, 1, "last");
    if (peer && asked) sendEnd(peer, 1, seenBy(messages.decodeRequest(asked.body)));
    expect(await collect({ [Symbol.asyncIterator]: () => running })).toEqual([[{ text: "last" }]]);
    await eventually("the connection's end", () => peer?.isClosed);
  });

  test("of a worker that stays: its connection ends with its last stream, and the next request dials anew", async () => {
    await using workers = await startScriptedWorkers({
      behave(peer, id, asked) {
        peer.send((writer) => messages.encodeGoaway(writer, "draining"));
        sendEnd(peer, id, seenBy(asked));
      },
    });
    const running = workers.client.generate({ count: 1 }).batches();
    const first = running.next();
    await eventually("GOAWAY", () => workers.peers[0]?.some(({ frames }) => frames.length > 1));
    await first;
    await eventually("the connection's end", () => workers.peers[0]?.[0]?.isClosed);
    expect(await collect(workers.client.generate({ count: 1 }))).toEqual([]);
    expect(workers.peers[0]).toHaveLength(2);
  });

  test("of a worker that stays registered costs no request its answer, however many are sent and however long that lasts", async () => {
    const leaving: ScriptedWorker = {
      behave(peer) {
        peer.send((writer) => messages.encodeGoaway(writer, "draining")); // and the connection stays, since a request runs there
        peer.send((writer) => messages.encodePing(writer, "PING", Buffer.alloc(8)));
      },
    };
    await using workers = await startScriptedWorkers(leaving, answers(1));
    await workers.client.waitForInstances({ count: 2 });
    const answered = async (): Promise<unknown[]> => collect(workers.client.generate({ count: 1 }));
    const running = answered();
    await eventually("the caller knowing it", () =>
      workers.peers[0]?.some(({ frames }) => frames.some(({ type }) => type === frameTypes.PONG)),
    );
    for (let time = 0; time < 10; time += 1) {
      const all = await Promise.all(Array.from({ length: 60 }, answered));
      expect(new Set(all.flat().map((item) => (item as { text: string }).text))).toEqual(new Set(["worker 1"]));
    }
    expect(attemptsAt(workers, 0)).toEqual([0]);
    for (const peer of workers.peers[0] ?? []) peer[Symbol.dispose]();
    expect(await running).toEqual([{ text: "worker 1" }]);
  });
});

describe("the worker's stream limit", () => {
  const silent: ScriptedWorker = { behave: () => undefined, hello: { max_streams: 2 } };

  test("sends further requests elsewhere", async () => {
    await using workers = await startScriptedWorkers(silent, { behave: () => undefined, hello: { max_streams: 5 } });
    const running = Array.from({ length: 7 }, () => workers.client.generate({ count: 1 }).batches());
    const pending = running.map((each) => failureOf(each.next()));
    await eventually(
      "seven requests",
      () => attemptsAt(workers, 0).length === 2 && attemptsAt(workers, 1).length === 5,
    );
    const last = workers.client.generate({ count: 1 });
    expect(await failureOf(collect(last))).toMatchObject({
      code: "overloaded",
      message: expect.stringMatching(/^[25] streams to the worker are open, its limit$/),
    });
    expect(last.attempts).toBe(2);
    await Promise.all(running.map((each) => each.return()));
    await Promise.all(pending);
    const aborter = new AbortController();
    const next = failureOf(collect(workers.client.generate({ count: 1 }, { signal: aborter.signal })));
    await eventually("room for one more", () => attemptsAt(workers, 0).length + attemptsAt(workers, 1).length === 8);
    aborter.abort();
    expect((await next).code).toBe("cancelled");
  });
});
