// Places that several endpoints of a process share: who is next, what is refused, and that all come back.
import { describe, expect, test } from "vitest";
import { createRuntime, type LimitOptions, type RequestLimit } from "../../../packages/runtime/src/index.ts";
import { eventually } from "../../support/cluster.ts";
import { createLogger } from "../../support/logger.ts";
import type { Exposed } from "../../support/open-metrics.ts";
import { config, failureOf } from "../peers.ts";
import { counts, startHouse, waitFor } from "./shared-house.ts";

describe("a limit that endpoints share", () => {
  test("lets the requests of all of them run in the order in which they came", async () => {
    await using house = await startHouse({ requests: 1 });
    const answers: Promise<unknown>[] = [];
    for (const [index, name] of ["r0", "r1", "b2", "r3", "b4"].entries()) {
      answers.push((name.startsWith("r") ? house.red : house.blue).call({ name }));
      await waitFor(house, 1, index);
    }
    for (const name of ["r0", "r1", "b2", "r3", "b4"]) {
      await eventually(name, () => [...house.begun.keys()].at(-1) === name);
      expect(house.limit.running).toBe(1);
      house.finish(name);
    }
    await Promise.all(answers);
    expect([...house.begun.keys()]).toEqual(["r0", "r1", "b2", "r3", "b4"]);
    await waitFor(house, 0, 0);
  });

  test("refuses at any of them what finds no place to wait", async () => {
    await using house = await startHouse({ requests: 1, queue: 1 });
    const first = house.red.call({ name: "r0" });
    await waitFor(house, 1, 0);
    const second = house.blue.call({ name: "b1" });
    await waitFor(house, 1, 1);
    for (const client of [house.red, house.blue])
      expect(await failureOf(client.call({ name: "more" }))).toMatchObject({
        code: "overloaded",
        message: "1 place is taken and 1 request is waiting, the limits of this worker",
      });
    for (const name of ["r0", "b1"]) {
      await eventually(name, () => house.begun.has(name));
      house.finish(name);
    }
    await Promise.all([first, second]);
    await waitFor(house, 0, 0);
  });

  test("shows in the metrics of each endpoint what is its own, and in the status, too", async () => {
    await using house = await startHouse({ requests: 2, queue: 7 });
    const answers = [house.red.call({ name: "r0" }), house.red.call({ name: "r1" })];
    await waitFor(house, 2, 0);
    answers.push(house.blue.call({ name: "b2" }));
    await waitFor(house, 2, 1);
    const shown = (exposed: Exposed, color: string): (number | undefined)[] =>
      ["places", "places_taken", "queue_depth", "queue_capacity"].map((name) =>
        exposed.value(`dynamo_work_handler_${name}`, { dynamo_component: color }),
      );
    const exposed = await house.metrics();
    expect(shown(exposed, "red")).toEqual([2, 2, 0, 7]);
    expect(shown(exposed, "blue")).toEqual([2, 0, 1, 7]);
    expect(house.server.status().endpoints).toEqual([
      expect.objectContaining({ endpoint: "dyn://test.red.generate", running: 2, queued: 0 }),
      expect.objectContaining({ endpoint: "dyn://test.blue.generate", running: 0, queued: 1 }),
    ]);
    house.finish("r0");
    await eventually("the one that waited", () => house.begun.has("b2"));
    expect(shown(await house.metrics(), "blue")).toEqual([2, 1, 0, 7]);
    for (const name of ["r1", "b2"]) house.finish(name);
    await Promise.all(answers);
    await waitFor(house, 0, 0);
    for (const color of ["red", "blue"]) expect(shown(await house.metrics(), color)).toEqual([2, 0, 0, 7]);
  });

  test("keeps no place of a request that is cancelled while it waits", async () => {
    await using house = await startHouse({ requests: 1, queue: 2 });
    const first = house.red.call({ name: "r0" });
    await waitFor(house, 1, 0);
    const aborter = new AbortController();
    const cancelled = failureOf(house.blue.call({ name: "b1" }, { signal: aborter.signal }));
    await waitFor(house, 1, 1);
    const third = house.red.call({ name: "r2" });
    await waitFor(house, 1, 2);
    aborter.abort();
    expect((await cancelled).code).toBe("cancelled");
    await waitFor(house, 1, 1);
    house.finish("r0");
    await eventually("the next", () => house.begun.has("r2"));
    house.finish("r2");
    await Promise.all([first, third]);
    expect([...house.begun.keys()]).toEqual(["r0", "r2"]);
    await waitFor(house, 0, 0);
  });

  test("gives a request that waits at an endpoint that drains its turn", async () => {
    await using house = await startHouse({ requests: 1 });
    const first = house.red.call({ name: "r0" });
    await waitFor(house, 1, 0);
    const second = house.blue.call({ name: "b1" });
    await waitFor(house, 1, 1);
    const closed = house.servings.blue.close();
    house.finish("r0");
    await eventually("the one that waited", () => house.begun.has("b1"));
    house.finish("b1");
    await Promise.all([first, second, closed]);
    await waitFor(house, 0, 0);
  });

  test("takes back the place of a request that a drain cuts while it waits, and goes on at the other endpoint", async () => {
    await using house = await startHouse({ requests: 1 }, { drainTimeoutMs: 1 });
    const first = house.red.call({ name: "r0" });
    await waitFor(house, 1, 0);
    const second = failureOf(house.blue.call({ name: "b1" }));
    await waitFor(house, 1, 1);
    await house.servings.blue.close();
    expect((await second).code).toBe("unavailable");
    expect(counts(house)).toEqual([1, 0]);
    house.finish("r0");
    await first;
    expect([...house.begun.keys()]).toEqual(["r0"]);
    await waitFor(house, 0, 0);
  });

  test("holds as the lower of its own and the setting of the process, and without both nobody waits", async () => {
    await using runtime = await createRuntime({
      config: { ...config, engineRequestLimit: 3, requestQueueLimit: 5 },
      log: createLogger({ sink: () => undefined }).pino,
    });
    const shown = ({ requests, queue }: RequestLimit): [number, number] => [requests, queue];
    expect(shown(runtime.limit({ requests: 2, queue: 9 }))).toEqual([2, 9]);
    expect(shown(runtime.limit({ requests: 4 }))).toEqual([3, 5]);
    expect(shown(runtime.limit())).toEqual([3, 5]);
    await using house = await startHouse({});
    expect(shown(house.limit)).toEqual([0, 1_024]);
    const answers = ["r0", "r1"].map((name) => house.red.call({ name }));
    await eventually("both", () => house.begun.size === 2);
    for (const name of house.begun.keys()) house.finish(name);
    await Promise.all(answers);
  });

  test("is refused in words if it cannot be", async () => {
    await using house = await startHouse({ requests: 1 });
    const { server, limit } = house;
    expect(() => server.limit({ requests: -1 })).toThrow("requests must be a whole number from 0, got -1");
    expect(() => server.limit({ queue: 1.5 })).toThrow("queue must be a whole number from 0, got 1.5");
    expect(() => server.limit({ request: 1 } as LimitOptions)).toThrow("request is no option; did you mean requests?");
    const endpoint = server.endpoint("dyn://test.green.generate");
    const serve = async (options: object): Promise<string> =>
      (await failureOf(endpoint.serve(async () => 1, options))).message;
    expect(await serve({ limit, requestLimit: 1 })).toBe(
      "requestLimit is for an endpoint with places of its own, leave it out with limit",
    );
    expect(await serve({ limit: 4 })).toBe("limit must be what runtime.limit() gave, got 4");
  });
});
