// One instance for all requests with the same key, as long as that has no more than its share.
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { loadFactor, pickByKey } from "../../../packages/runtime/src/egress/affinity.ts";
import type { PickInput } from "../../../packages/runtime/src/egress/pick.ts";

function input(ids: readonly string[], loads: ReadonlyMap<string, number> = new Map()): PickInput {
  return {
    instances: ids.map((id) => ({ id, key: id, host: "h", port: 1, path: "p", labels: {} })),
    loadOf: (id) => loads.get(id) ?? 0,
  };
}

const keys = Array.from({ length: 2_000 }, (_, index) => `user-${index}`);
const ids = fc.uniqueArray(fc.bigInt({ min: 0n, max: 2n ** 64n - 1n }).map(String), { minLength: 1, maxLength: 8 });

function homesAt(instances: readonly string[]): Map<string, string> {
  return new Map(keys.map((key) => [key, pickByKey(key, input(instances))?.id ?? "nowhere"]));
}

describe("the instance of a key", () => {
  test("is the same each time, in whatever order instances are known", () => {
    fc.assert(
      fc.property(ids, fc.string(), (instances, key) => {
        const home = pickByKey(key, input(instances))?.id;
        expect(instances).toContain(home);
        expect(pickByKey(key, input(instances.toReversed()))?.id).toBe(home);
      }),
    );
  });

  test("is the same in every version, for processes of two versions must agree", () => {
    const chosen = ["", "a", "user-1", "ключ", "a long key of a conversation: 0123456789"].map(
      (key) => pickByKey(key, input(["7", "12345678901234567890", "18446744073709551615"]))?.id,
    );
    expect(chosen).toMatchInlineSnapshot(`
      [
        "18446744073709551615",
        "12345678901234567890",
        "12345678901234567890",
        "18446744073709551615",
        "7",
      ]
    `);
  });

  test("changes only for keys of an instance that goes, and only to one that comes", () => {
    fc.assert(
      fc.property(ids, fc.bigInt({ min: 0n, max: 2n ** 64n - 1n }).map(String), (instances, another) => {
        fc.pre(!instances.includes(another));
        const before = homesAt(instances);
        const after = homesAt([...instances, another]);
        for (const key of keys) if (after.get(key) !== before.get(key)) expect(after.get(key)).toBe(another);
        const moved = keys.filter((key) => after.get(key) === another).length;
        const share = keys.length / (instances.length + 1);
        expect(moved).toBeGreaterThan(share / 2);
        expect(moved).toBeLessThan(share * 2);
      }),
      { numRuns: 30 },
    );
  });

  test("is spread evenly, also over ids and keys that are nearly the same", () => {
    const counts = new Map<string, number>();
    for (const home of homesAt(["1", "2", "3", "4"]).values()) counts.set(home, (counts.get(home) ?? 0) + 1);
    expect(Math.min(...counts.values())).toBeGreaterThan(400);
    expect(counts.size).toBe(4);
  });

  test("is another while its first one is above the bound, and nobody ever is", () => {
    fc.assert(
      fc.property(ids, fc.array(fc.nat(5), { maxLength: 200 }), (instances, requests) => {
        const loads = new Map<string, number>();
        for (const [index, key] of requests.entries()) {
          const id = pickByKey(`${key}`, input(instances, loads))?.id ?? "nowhere";
          loads.set(id, (loads.get(id) ?? 0) + 1);
          const bound = Math.ceil((loadFactor * (index + 1)) / instances.length);
          expect(loads.get(id)).toBeLessThanOrEqual(bound);
        }
        expect([...loads.values()].reduce((sum, load) => sum + load, 0)).toBe(requests.length);
      }),
    );
  });

  test("comes back when the load has gone", () => {
    const home = pickByKey("a", input(["1", "2", "3"]))?.id ?? "";
    const busy = new Map([[home, 9]]);
    expect(pickByKey("a", input(["1", "2", "3"], busy))?.id).not.toBe(home);
    expect(pickByKey("a", input(["1", "2", "3"]))?.id).toBe(home);
  });

  test("is nobody when nobody is there", () => {
    expect(pickByKey("a", input([]))).toBeUndefined();
  });
});
