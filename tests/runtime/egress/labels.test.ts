// Labels of instances: served with, seen, chosen by. And who is told of instances that come and go.
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { areLabels, hasLabels } from "../../../packages/runtime/src/discovery/labels.ts";
import { createRuntime, type Instance } from "../../../packages/runtime/src/index.ts";
import { serveModel } from "../../../packages/runtime/src/llm.ts";
import { eventually } from "../../support/cluster.ts";
import { address, config, failureOf } from "../peers.ts";
import { openFleet, type Named } from "./fleet-of-names.ts";

describe("labels", () => {
  test("are seen at the instances that were served with them", async () => {
    await using fleet = await openFleet(1);
    const id = await fleet.start({ labels: { zone: "a", gpu: "h100" } });
    const { instances } = fleet.caller.client<Named, string>(address);
    const seen = new Map(instances.map((each) => [each.id, each.labels]));
    expect(seen).toEqual(
      new Map([
        [id, { zone: "a", gpu: "h100" }],
        ...fleet.ids.filter((each) => each !== id).map((each) => [each, {}] as const),
      ]),
    );
  });

  test("that a client wants are those of every instance it asks", async () => {
    await using fleet = await openFleet(1);
    const other = await fleet.start({ labels: { zone: "b", gpu: "h100" } });
    const wanted = await fleet.start({ labels: { zone: "a", gpu: "h100" } });
    const client = fleet.caller.client<Named, string>(address, { labels: { zone: "a" } });
    for (let index = 0; index < 4; index += 1) expect(await client.call({})).toBe(wanted);
    expect(await client.all({})).toEqual([{ instanceId: wanted, item: wanted }]);
    expect(await failureOf(client.call({}, { instanceId: other }))).toMatchObject({ code: "unavailable" });
    const h100 = fleet.caller.client<Named, string>(address, { labels: { gpu: "h100" } });
    expect(h100.instances.map(({ id }) => id).toSorted()).toEqual([other, wanted].toSorted());
    const both = fleet.caller.client<Named, string>(address, { labels: { gpu: "h100", zone: "c" } });
    expect(await failureOf(both.call({}))).toMatchObject({ code: "unavailable" });
  });

  test("of a new serve take the place of the old ones", async () => {
    await using fleet = await openFleet(0);
    await using runtime = await createRuntime({ config, memorySpace: fleet.memorySpace, log: fleet.caller.log });
    const left: Instance[] = [];
    const client = fleet.caller.client<Named, string>(address, {
      labels: { zone: "a" },
      onLeave: (instance) => left.push(instance),
    });
    const endpoint = runtime.endpoint(address);
    const first = await endpoint.serve(async () => "a", { labels: { zone: "a" } });
    expect(await client.call({})).toBe("a");
    await first.close();
    await using _second = await endpoint.serve(async () => "b", { labels: { zone: "b" } });
    await eventually("it to leave", () => client.instances.length === 0);
    expect(left).toMatchObject([{ id: runtime.instanceId, labels: { zone: "a" } }]);
  });

  test("of a model are those of its endpoint", async () => {
    await using fleet = await openFleet(0);
    await using runtime = await createRuntime({ config, memorySpace: fleet.memorySpace, log: fleet.caller.log });
    await serveModel(runtime, { model: "m", endpoint: address, labels: { gpu: "h100" } }, async function* () {});
    expect(fleet.caller.client(address).instances).toMatchObject([{ labels: { gpu: "h100" } }]);
  });

  test.each([
    ["7", "labels must be an object of texts, got 7"],
    ['["a"]', "labels must be an object of texts, got a list"],
    ['{"Zone":"a"}', 'the name of a label must be 1 to 63 of a-z, 0-9, _ . and -, a letter first, got "Zone"'],
    ['{"__proto__":"a"}', 'a letter first, got "__proto__"'],
    ['{"zone":""}', 'the label zone must be 1 to 128 characters of visible ASCII, got ""'],
    ['{"zone":"a b"}', 'of visible ASCII, got "a b"'],
    ['{"zone":7}', "of visible ASCII, got 7"],
    [JSON.stringify({ zone: "x".repeat(129) }), "the label zone must be 1 to 128 characters"],
    [
      JSON.stringify(Object.fromEntries(Array.from({ length: 17 }, (_, index) => [`a${index}`, "b"]))),
      "labels must be at most 16, got 17 labels",
    ],
  ])("that cannot be are refused at both ends, and nothing is served: %s", async (text, message) => {
    await using fleet = await openFleet(0);
    const labels = JSON.parse(text);
    expect(() => fleet.caller.client(address, { labels })).toThrow(message);
    expect(await failureOf(fleet.start({ labels }))).toMatchObject({
      code: "invalid_argument",
      message: expect.stringContaining(message),
    });
    expect(fleet.caller.client(address).instances).toEqual([]);
  });

  test("are found by whoever wants some of them, and by nobody who wants another", () => {
    const labels = fc.dictionary(fc.stringMatching(/^[a-z][a-z0-9_.-]{0,9}$/), fc.stringMatching(/^[!-~]{1,9}$/), {
      maxKeys: 16,
    });
    fc.assert(
      fc.property(labels, fc.nat(), fc.stringMatching(/^[!-~]{1,9}$/), (all, count, another) => {
        expect(areLabels(all)).toBe(true);
        const some = Object.entries(all).slice(0, count % 17);
        expect(hasLabels(all, Object.fromEntries(some))).toBe(true);
        expect(hasLabels(all, { ...all, constructor: `${another}${all["constructor"]}` })).toBe(false);
      }),
    );
  });
});

describe("a program that wants to hear of instances", () => {
  test("hears of those that are there once it has its client, then of each that joins and leaves", async () => {
    await using fleet = await openFleet(1);
    const heard: string[] = [];
    const client = fleet.caller.client<Named, string>(address, {
      onJoin: ({ id, labels }) => void heard.push(`${client.instances.length} joined ${id} ${labels["zone"]}`),
      onLeave: ({ id, labels }) => void heard.push(`${client.instances.length} left ${id} ${labels["zone"]}`),
    });
    expect(heard).toEqual([]);
    await Promise.resolve();
    const second = await fleet.start({ labels: { zone: "a" } });
    const [first = ""] = fleet.ids;
    await fleet.stop(second);
    await eventually("it to leave", () => heard.length === 3);
    expect(heard).toEqual([`1 joined ${first} undefined`, `2 joined ${second} a`, `1 left ${second} a`]);
    client.close();
    await fleet.stop(first);
    expect(heard).toHaveLength(3);
  });

  test("hears nothing once it has closed its client, of those that are there neither", async () => {
    await using fleet = await openFleet(3);
    const heard: string[] = [];
    const closed = fleet.caller.client<Named, string>(address, {
      onJoin: () => void heard.push("after it was closed"),
    });
    closed.close();
    const client = fleet.caller.client<Named, string>(address, {
      onJoin() {
        heard.push("the first");
        client.close();
      },
    });
    await new Promise(setImmediate);
    expect(heard).toEqual(["the first"]);
  });

  test("may throw or reject: the log says so, and everybody else goes on", async () => {
    await using fleet = await openFleet(1);
    const client = fleet.caller.client<Named, string>(address, {
      onJoin: () => Promise.reject(new Error("no room")),
      onLeave: () => {
        throw new Error("no way out");
      },
    });
    const [id = ""] = fleet.ids;
    const second = await fleet.start();
    await fleet.stop(second);
    const failures = await eventually("the lines", () => {
      const lines = fleet.lines.filter(({ message }) => message === "a function told of instances has failed");
      return lines.length === 3 && lines;
    });
    expect(failures).toMatchObject([
      { level: "ERROR", callback: "onJoin", instance_id: id, error: expect.stringContaining("no room") },
      { level: "ERROR", callback: "onJoin", instance_id: second, error: expect.stringContaining("no room") },
      { level: "ERROR", callback: "onLeave", instance_id: second, error: expect.stringContaining("no way out") },
    ]);
    expect(await client.call({})).toBe(id);
  });
});
