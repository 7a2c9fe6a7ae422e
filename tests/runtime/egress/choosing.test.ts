// How a client chooses instances, with real ones: its policy, a key, an instance that is named.
import { describe, expect, test } from "vitest";
import {
  createMemorySpace,
  createRuntime,
  type ClientOptions,
  type RoutingPolicy,
} from "../../../packages/runtime/src/index.ts";
import { RuntimeError } from "../../../packages/runtime/src/errors.ts";
import { address, config, failureOf } from "../peers.ts";
import { openFleet, type Named } from "./fleet-of-names.ts";

const policies: readonly RoutingPolicy<Named>[] = [
  "round-robin",
  "random",
  "least-loaded",
  "power-of-two",
  "direct",
  { key: ({ user = "nobody" }) => user },
];

describe("an instance that is named", () => {
  test.each(policies)("is asked whatever the policy is: %j", async (policy) => {
    await using fleet = await openFleet(3);
    const client = fleet.caller.client<Named, string>(address, { policy });
    for (const id of [...fleet.ids, ...fleet.ids])
      expect(await client.call({ user: "ada" }, { instanceId: id, key: "eve" })).toBe(id);
  });

  test.each(policies)("and is not there is nobody, whatever the policy is: %j", async (policy) => {
    await using fleet = await openFleet(2);
    const client = fleet.caller.client<Named, string>(address, { policy, retry: {} });
    expect(await failureOf(client.call({}, { instanceId: "7" }))).toMatchObject({
      code: "unavailable",
      message: "instance 7 does not serve test/echo/generate",
    });
  });

  test("is asked however often it has failed, and its failure is the answer: no other is tried", async () => {
    await using fleet = await openFleet(1);
    let asked = 0;
    const failing = await fleet.start({}, async () => {
      asked += 1;
      throw new RuntimeError("internal", "it fails");
    });
    const client = fleet.caller.client<Named, string>(address, { retry: { codes: ["internal"] } });
    for (let call = 1; call <= 5; call += 1) {
      expect((await failureOf(client.call({}, { instanceId: failing }))).code).toBe("internal");
      expect(asked).toBe(call);
    }
  });

  test("by its hexadecimal key, or by a number, is refused with what it must be", async () => {
    await using fleet = await openFleet(1);
    const client = fleet.caller.client<Named, string>(address);
    for (const [instanceId, got] of [
      ["eaa1d506a573f133", `"eaa1d506a573f133"`],
      [JSON.parse("7"), "7"],
    ]) {
      expect(await failureOf(client.call({}, { instanceId }))).toMatchObject({
        code: "invalid_argument",
        message: `instanceId must be the text of a decimal u64, got ${got}`,
      });
    }
  });
});

describe("a key", () => {
  test("of the policy has one instance, in every process that calls", async () => {
    await using fleet = await openFleet(3);
    await using other = await createRuntime({ config, memorySpace: fleet.memorySpace, log: fleet.caller.log });
    const options: ClientOptions<Named> = { policy: { key: ({ user = "nobody" }) => user } };
    const [one, two] = [fleet.caller, other].map((runtime) => runtime.client<Named, string>(address, options));
    const homes = new Set<string>();
    for (let index = 0; index < 20; index += 1) {
      const home = await one?.call({ user: `user-${index}` });
      homes.add(String(home));
      expect(await two?.call({ user: `user-${index}` })).toBe(home);
      expect(await one?.call({ user: `user-${index}` })).toBe(home);
    }
    expect(homes.size).toBe(3);
  });

  test("of a call wins over the policy's, and holds with every policy that leaves a choice", async () => {
    await using fleet = await openFleet(3);
    const homes = new Set<string>();
    for (const policy of policies) {
      if (policy === "direct") continue;
      const client = fleet.caller.client<Named, string>(address, { policy });
      for (let index = 0; index < 4; index += 1) homes.add(await client.call({ user: `${index}` }, { key: "ada" }));
    }
    expect(homes.size).toBe(1);
    const direct = fleet.caller.client<Named, string>(address, { policy: "direct" });
    expect(await failureOf(direct.call({}, { key: "ada" }))).toMatchObject({
      code: "invalid_argument",
      message: "the policy is direct, and the request names no instance",
    });
  });

  test("whose instance leaves goes to another one, and stays there", async () => {
    await using fleet = await openFleet(3);
    const client = fleet.caller.client<Named, string>(address);
    const home = await client.call({}, { key: "ada" });
    await fleet.stop(home);
    const second = await client.call({}, { key: "ada" });
    expect(second).not.toBe(home);
    expect(await client.call({}, { key: "ada" })).toBe(second);
  });

  test("that is no text is refused before anything is sent", async () => {
    await using fleet = await openFleet(1);
    const client = fleet.caller.client<Named, string>(address, {
      policy: { key: ({ user }) => JSON.parse(user ?? "7") },
    });
    const refusal = { code: "invalid_argument", message: "the key of a request must be a text, got 7" };
    expect(await failureOf(client.call({}))).toMatchObject(refusal);
    expect(() => client.generate({}, { key: JSON.parse("7") })).toThrow(refusal.message);
  });
});

test("a policy that is none is refused with those there are", async () => {
  await using runtime = await createRuntime({ config, memorySpace: createMemorySpace() });
  const open = (policy: string): unknown => runtime.client(address, { policy: JSON.parse(policy) });
  const names = "round-robin, random, least-loaded, power-of-two, direct";
  expect(() => open('"kv"')).toThrow(`policy must be one of ${names}, or an object with \`key\`, got "kv"`);
  expect(() => open("null")).toThrow("got null");
  expect(() => open('{"key":"user"}')).toThrow('policy.key must be a function, got "user"');
  expect(() => open('{"keys":7}')).toThrow("keys is no option");
});
