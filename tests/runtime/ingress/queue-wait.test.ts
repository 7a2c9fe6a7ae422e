// How long requests waited for a place: in their context, at their caller, on their lines and in the metrics.
import { describe, expect, test } from "vitest";
import { eventually } from "../../support/cluster.ts";
import { collect, failureOf } from "../peers.ts";
import { startHouse, waitFor } from "./shared-house.ts";

describe("the wait for a place", () => {
  test("is in the context of the request, with how many were before it", async () => {
    await using house = await startHouse({ requests: 1 });
    const answers: Promise<unknown>[] = [];
    for (const [index, name] of ["r0", "r1", "b2"].entries()) {
      answers.push((name.startsWith("r") ? house.red : house.blue).call({ name }));
      await waitFor(house, 1, index);
    }
    for (const name of ["r0", "r1", "b2"]) {
      await eventually(name, () => house.begun.has(name));
      house.finish(name);
    }
    await Promise.all(answers);
    const seen = ["r0", "r1", "b2"].map((name) => house.begun.get(name));
    expect(seen.map((context) => context?.queuePosition)).toEqual([0, 1, 2]);
    expect(seen[0]?.queuedMs).toBe(0);
    for (const context of seen.slice(1)) expect(context?.queuedMs).toBeGreaterThan(0);
  });

  test("is 0 where requests are not limited", async () => {
    await using house = await startHouse({});
    const answer = house.red.call({ name: "r0" });
    await eventually("it", () => house.begun.has("r0"));
    expect(house.begun.get("r0")).toMatchObject({ queuedMs: 0, queuePosition: 0 });
    house.finish("r0");
    await answer;
    expect((await house.metrics()).value("dynamo_work_handler_permit_wait_seconds_count")).toBe(0);
  });

  test("is counted as soon as it is over, not when the request is", async () => {
    await using house = await startHouse({ requests: 1 });
    const answers = [house.red.call({ name: "r0" })];
    await waitFor(house, 1, 0);
    answers.push(house.red.call({ name: "r1" }));
    await waitFor(house, 1, 1);
    const waits = async (): Promise<number | undefined> =>
      (await house.metrics()).value("dynamo_work_handler_permit_wait_seconds_count", { dynamo_component: "red" });
    expect(await waits()).toBe(1);
    house.finish("r0");
    await eventually("the next", () => house.begun.has("r1"));
    expect(await waits()).toBe(2);
    house.finish("r1");
    await Promise.all(answers);
    expect(await waits()).toBe(2);
  });

  test("reaches the caller, is on the worker's line and counted, also of a request that gave it up", async () => {
    await using house = await startHouse({ requests: 1 });
    const first = house.red.generate({ name: "r0" });
    const firstItems = collect(first);
    await waitFor(house, 1, 0);
    const second = house.red.generate({ name: "r1" });
    const secondItems = collect(second);
    await waitFor(house, 1, 1);
    const aborter = new AbortController();
    const third = failureOf(house.blue.call({ name: "b2" }, { signal: aborter.signal }));
    await waitFor(house, 1, 2);
    aborter.abort();
    await third;
    await waitFor(house, 1, 1);
    house.finish("r0");
    await eventually("the next", () => house.begun.has("r1"));
    house.finish("r1");
    await Promise.all([firstItems, secondItems]);
    expect(first.trailer).not.toHaveProperty("facts");
    expect(second.trailer.facts).toEqual({ queued_ms: expect.any(Number) as number, queue_position: 1 });
    const lines = await eventually("their lines", () => {
      const found = house.lines.filter(({ message }) => message === "request completed");
      return found.length === 3 && found;
    });
    const shown = (status: string): unknown[] =>
      lines
        .filter((line) => line["status"] === status)
        .map(({ queued_ms, queue_position }) => [queued_ms, queue_position]);
    expect(shown("cancelled")).toEqual([[expect.any(Number), 2]]);
    expect(shown("success")).toEqual([
      [undefined, undefined],
      [expect.any(Number), 1],
    ]);
    const exposed = await house.metrics();
    const waits = (name: string, color: string): number | undefined =>
      exposed.value(`dynamo_work_handler_permit_wait_seconds_${name}`, { dynamo_component: color });
    expect([waits("count", "red"), waits("count", "blue")]).toEqual([2, 1]);
    expect(waits("sum", "red")).toBeGreaterThan(0);
    expect(waits("sum", "blue")).toBeGreaterThan(0);
  });
});
