// The places of an endpoint, without sockets: who gets one, in which order, and that all come back.
import { getEventListeners } from "node:events";
import { createRuntimeMetrics } from "@dyn/runtime/internal";
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { createAdmission, createRoom } from "../../../packages/runtime/src/ingress/admission.ts";
import type { Place } from "../../../packages/runtime/src/ingress/places.ts";
import { eventually } from "../../support/cluster.ts";

describe("places", () => {
  const labels = { dynamo_namespace: "n", dynamo_component: "c", dynamo_endpoint: "e", worker_id: "1", model: "m" };
  const never = new AbortController().signal;

  interface Room {
    /** One of the two endpoints that share the places. Default: the first. */
    enter(door?: 0 | 1): Place;
    /** Taken and waited for, at both. */
    counts(): [taken: number, waiting: number];
  }

  function openRoom(limit: number, queueLimit = 10): Room {
    const all = createRuntimeMetrics();
    const metrics = [labels, { ...labels, dynamo_endpoint: "other" }].map((each) => all.endpoint(each));
    const shared = createRoom([limit], queueLimit);
    const doors = metrics.map((each) => createAdmission(shared, each));
    const total = (name: "placesTaken" | "queueDepth"): number =>
      metrics.reduce((sum, each) => sum + each[name].value, 0);
    return {
      enter(door = 0) {
        const place = doors[door]?.enter();
        if (!place) throw new Error("places are not limited");
        return place;
      },
      counts: () => [total("placesTaken"), total("queueDepth")],
    };
  }

  // Takes `count` places, one for each of so many parts, and notes when each part has its own.
  async function run(name: string, count: number, place: Place, log: string[]): Promise<void> {
    await place.turn(never);
    const parts = Array.from({ length: count }, async (_, index) => {
      using _part = await place.take(never);
      log.push(`${name}${index}`);
      await Promise.resolve();
    });
    await Promise.all(parts);
    place[Symbol.dispose]();
  }

  test("are each taken by one part of a request; one that wants more than there are runs its parts in turns", async () => {
    const room = openRoom(2);
    const place = room.enter();
    await place.turn(never);
    const given = [await place.take(never), await place.take(never)];
    const third = place.take(never);
    expect(room.counts()).toEqual([2, 1]);
    given[1]?.[Symbol.dispose]();
    given.push(await third);
    expect(room.counts()).toEqual([2, 0]);
    given[0]?.[Symbol.dispose](); // the request's own
    place[Symbol.dispose]();
    expect(room.counts()).toEqual([1, 0]);
    given[2]?.[Symbol.dispose]();
    expect(room.counts()).toEqual([0, 0]);
  });

  test("go in turn to the requests that wait, however many each of them wants", async () => {
    const room = openRoom(1);
    const log: string[] = [];
    await Promise.all([run("a", 4, room.enter(), log), run("b", 2, room.enter(), log), run("c", 1, room.enter(), log)]);
    expect(log).toEqual(["a0", "b0", "c0", "a1", "b1", "a2", "a3"]);
    expect(room.counts()).toEqual([0, 0]);
  });

  test("are refused to a request when others wait for their first one, not for what those that run still want", async () => {
    const room = openRoom(1, 1);
    const first = room.enter();
    const parts = Array.from({ length: 5 }, () => first.take(never));
    const second = room.enter();
    expect(() => room.enter()).toThrow("1 place is taken and 1 request is waiting, the limits of this worker");
    expect(room.counts()).toEqual([1, 5]);
    second[Symbol.dispose]();
    for (const part of parts) (await part)[Symbol.dispose]();
    expect(room.counts()).toEqual([0, 0]);
  });

  test("are given up by what is aborted, whether it has one or waits", async () => {
    const room = openRoom(2);
    const aborter = new AbortController();
    const one = room.enter();
    const held = [await one.take(never), await one.take(never)];
    const waiting = [one.take(aborter.signal), one.take(aborter.signal)];
    const other = room.enter();
    const turn = other.turn(never);
    aborter.abort(new Error("enough"));
    for (const each of waiting) await expect(each).rejects.toThrow("enough");
    expect(room.counts()).toEqual([2, 1]);
    held[1]?.[Symbol.dispose]();
    await turn;
    await expect(one.take(aborter.signal)).rejects.toThrow("enough");
    for (const each of [one, other]) each[Symbol.dispose]();
    expect(room.counts()).toEqual([0, 0]);
  });

  test("put one listener on the signal of their request, however many wait, and take it back", async () => {
    const room = openRoom(1);
    const { signal } = new AbortController();
    const place = room.enter();
    const [first, ...waiting] = Array.from({ length: 100 }, () => place.take(signal));
    await eventually("all but one waiting", () => room.counts().join() === "1,99");
    expect(getEventListeners(signal, "abort")).toHaveLength(1);
    for (const each of [first, ...waiting]) (await each)?.[Symbol.dispose]();
    place[Symbol.dispose]();
    expect(room.counts()).toEqual([0, 0]);
    expect(getEventListeners(signal, "abort")).toHaveLength(0);
  });

  test("say to each request how many must become free before its turn", async () => {
    const room = openRoom(1);
    const [first, second, third] = [room.enter(), room.enter(), room.enter()];
    expect([first, second, third].map(({ position }) => position)).toEqual([0, 1, 2]);
    second[Symbol.dispose]();
    const fourth = room.enter();
    expect(fourth.position).toBe(2);
    for (const each of [first, third, fourth]) each[Symbol.dispose]();
    expect(room.counts()).toEqual([0, 0]);
  });

  test("are never more than there are, and all come back, whatever is wanted and given up", async () => {
    const wish = fc.record({
      parts: fc.integer({ min: 0, max: 6 }),
      isAborted: fc.boolean(),
      door: fc.constantFrom(0, 1),
      steps: fc.integer({ min: 0, max: 4 }),
    });
    await fc.assert(
      fc.asyncProperty(fc.integer({ min: 1, max: 4 }), fc.array(wish, { maxLength: 8 }), async (limit, wishes) => {
        const room = openRoom(limit, 100);
        let running = 0;
        await Promise.all(
          wishes.map(async ({ parts, isAborted, door, steps }) => {
            using place = room.enter(door);
            const aborter = new AbortController();
            const work = Array.from({ length: parts }, async () => {
              using _part = await place.take(aborter.signal);
              running += 1;
              expect(running).toBeLessThanOrEqual(limit);
              for (let step = 0; step < steps; step += 1) await Promise.resolve();
              running -= 1;
            });
            if (isAborted) aborter.abort(new Error("enough"));
            await Promise.allSettled(work);
          }),
        );
        expect(room.counts()).toEqual([0, 0]);
      }),
    );
  });
});
