// One request to every instance.
import { once } from "node:events";
import { describe, expect, test } from "vitest";
import { eventually } from "../../support/cluster.ts";
import { address, failureOf } from "../peers.ts";
import { openFleet, type Named } from "./fleet-of-names.ts";

describe("a request to all instances", () => {
  test("has a result of each, in the order of the instances, with an id of its own", async () => {
    await using fleet = await openFleet(3);
    const client = fleet.caller.client<Named, string>(address);
    const ids = client.instances.map(({ id }) => id);
    expect(ids.toSorted()).toEqual(fleet.ids.toSorted());
    expect(await client.all({})).toEqual(ids.map((id) => ({ instanceId: id, item: id })));
    const attempts = fleet.lines.filter(({ message }) => message === "route request completed");
    expect(new Set(attempts.map((line) => line["request_id"])).size).toBe(3);
  });

  test("of nobody has no results", async () => {
    await using fleet = await openFleet(0);
    expect(await fleet.caller.client<Named, string>(address).all({})).toEqual([]);
  });

  test("has the error of one that fails beside the items of the others", async () => {
    await using fleet = await openFleet(2);
    const failing = await fleet.start({ idempotent: true }, () => Promise.reject(new Error("secret")));
    const streaming = await fleet.start({}, async function* () {
      yield "one";
      yield "two";
    });
    const results = await fleet.caller.client<Named, string>(address, { policy: "direct", retry: {} }).all({});
    const byId = new Map(results.map((result) => [result.instanceId, result]));
    expect(byId.size).toBe(4);
    expect(byId.get(failing)).toMatchObject({ error: { code: "internal", message: "the worker failed" } });
    expect(byId.get(streaming)).toMatchObject({ error: { code: "protocol" } });
    expect(results.filter(({ error }) => error === undefined)).toHaveLength(2);
  });

  test("asks no more at a time than it may", async () => {
    await using fleet = await openFleet(0);
    const open: (() => void)[] = [];
    const wait = (): Promise<string> => new Promise((resolve) => open.push(() => resolve("done")));
    for (let index = 0; index < 4; index += 1) await fleet.start({}, wait);
    const asked = fleet.caller.client<Named, string>(address).all({}, { concurrency: 2 });
    await eventually("two", () => open.length === 2);
    open.pop()?.();
    await eventually("a third instead", () => open.length === 2);
    open.splice(0).forEach((end) => end());
    await eventually("the last", () => open.length === 1);
    open.splice(0).forEach((end) => end());
    expect((await asked).map(({ item }) => item)).toEqual(["done", "done", "done", "done"]);
  });

  test("that is cancelled keeps what it has", async () => {
    await using fleet = await openFleet(1);
    let hasBegun = false;
    const slow = await fleet.start({}, (_, { signal }) => {
      hasBegun = true;
      return once(signal, "abort");
    });
    const ending = new AbortController();
    const asked = fleet.caller.client<Named, string>(address).all({}, { signal: ending.signal });
    await eventually(
      "the slow one",
      () => hasBegun && fleet.lines.some(({ message }) => message === "route request completed"),
    );
    ending.abort();
    for (const { instanceId, error } of await asked)
      expect(error?.code).toBe(instanceId === slow ? "cancelled" : undefined);
  });

  test("ends when its time is over", async () => {
    await using fleet = await openFleet(0);
    await fleet.start({}, (_, { signal }) => once(signal, "abort"));
    const results = await fleet.caller.client<Named, string>(address).all({}, { timeoutMs: 20 });
    expect(results).toMatchObject([{ error: { code: "deadline_exceeded" } }]);
  });

  test("that cannot be sent is refused, and so are its options", async () => {
    await using fleet = await openFleet(2);
    const client = fleet.caller.client<{ readonly call: unknown }, string>(address);
    const refusals = [
      client.all({ call: () => 7 }),
      fleet.caller.client<AsyncIterable<number>, string>(address).all((async function* () {})()),
      client.all({ call: 1 }, { concurrency: 0 }),
      client.all({ call: 1 }, { timeoutMs: 0 }),
      client.all({ call: 1 }, JSON.parse('{"instanceId":"7"}')),
    ];
    for (const refusal of refusals) expect(await failureOf(refusal)).toMatchObject({ code: "invalid_argument" });
    expect(fleet.lines.some(({ message }) => message === "route request completed")).toBe(false);
  });
});
