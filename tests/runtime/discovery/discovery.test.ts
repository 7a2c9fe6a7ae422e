// One contract, two backends; and what only the directory can get wrong.
import { readdir, readFile, rename, utimes, writeFile } from "node:fs/promises";
import { join } from "node:path";
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { toInstance } from "../../../packages/runtime/src/discovery/instance.ts";
import { decodeFileName, encodeFileName } from "../../../packages/runtime/src/discovery/record-file.ts";
import {
  formatRecord,
  parseAddress,
  parseRecord,
  recordKey,
  toSlug,
} from "../../../packages/runtime/src/discovery/records.ts";
import { eventually, root } from "../../support/cluster.ts";
import { card, fileSpace, follow, memorySpace, record, startedAt, ttlMs } from "./spaces.ts";

describe.each([
  ["file", fileSpace],
  ["mem", memorySpace],
])("%s discovery", (_kind, openSpace) => {
  test("shows what is published, until it is withdrawn", async () => {
    await using space = await openSpace();
    await using owner = await space.open();
    await using reader = await space.open();
    using watch = follow(reader);
    await watch.ready;
    expect(watch.heard).toEqual([]);
    const id = 2n ** 64n - 1n;
    const registration = await owner.publish(record(id));
    const seen = await eventually("the record", () => watch.records.get("dynamo/backend/generate/ffffffffffffffff"));
    expect(seen).toEqual(record(id));
    await registration[Symbol.asyncDispose]();
    await eventually("its end", () => watch.records.size === 0);
  });

  test("a late watcher gets everything at once, and only its bucket", async () => {
    await using space = await openSpace();
    await using owner = await space.open();
    for (const id of [1n, 2n, 3n]) await owner.publish(record(id));
    using watch = follow(owner);
    using other = follow(owner, "v1/mdc");
    await Promise.all([watch.ready, other.ready]);
    expect(watch.heard.map(({ length }) => length)).toEqual([3]);
    expect(other.heard).toEqual([]);
  });

  test("whoever watches an endpoint, or one record, hears of nothing else", async () => {
    await using space = await openSpace();
    await using owner = await space.open();
    await owner.publish(record(1n));
    await owner.publish(record(1n, "other"));
    using whole = follow(owner);
    using endpoint = follow(owner, "v1/instances", "dynamo/backend/generate");
    using one = follow(owner, "v1/instances", "dynamo/backend/generate/2");
    await Promise.all([whole.ready, endpoint.ready, one.ready]);
    const second = await owner.publish(record(2n));
    await owner.publish(record(2n, "other"));
    await eventually("all four", () => whole.records.size === 4);
    await second[Symbol.asyncDispose]();
    await eventually("three", () => whole.records.size === 3);
    const [first, generate] = [{ key: recordKey(record(1n)), record: record(1n) }, recordKey(record(2n))];
    const itsLife = [[{ key: generate, record: record(2n) }], [{ key: generate, record: undefined }]];
    expect(endpoint.heard).toEqual([[first], ...itsLife]);
    expect(one.heard).toEqual(itsLife);
  });

  test("a record that takes the place of another is told as it is now, and an end only once", async () => {
    await using space = await openSpace();
    await using owner = await space.open();
    using watch = follow(owner, "v1/mdc");
    await watch.ready;
    await owner.publish(card(1n));
    await eventually("the card", () => watch.records.size === 1);
    const other = { ...card(1n), card_json: { ...card(1n).card_json, context_length: 4_096 } };
    const registration = await owner.publish(other);
    await eventually("the other", () => watch.heard.length === 2);
    expect([...watch.records.values()]).toEqual([other]);
    await registration[Symbol.asyncDispose]();
    await eventually("its end", () => watch.records.size === 0);
    await owner.publish(card(2n));
    await eventually("later news", () => watch.records.size === 1);
    expect(watch.heard).toHaveLength(4);
  });

  test("all hear changes in their order, also one that somebody makes while hearing of another", async () => {
    await using space = await openSpace();
    await using owner = await space.open();
    const moved = { ...record(1n), transport: { tcp: "127.0.0.1:4001" } };
    let publication: Promise<unknown> | undefined;
    using hasty = owner.watch("v1/instances", () => void (publication ??= owner.publish(moved)));
    using watch = follow(owner);
    await Promise.all([hasty.ready, watch.ready]);
    await owner.publish(record(1n));
    await eventually("both", () => watch.heard.length === 2);
    expect([...watch.records.values()]).toEqual([moved]);
  });

  test("a listener that throws costs neither the others nor whoever publishes anything", async () => {
    await using space = await openSpace();
    await using owner = await space.open();
    using broken = owner.watch("v1/instances", () => {
      throw new Error("not my day");
    });
    using watch = follow(owner);
    await Promise.all([broken.ready, watch.ready]);
    await owner.publish(record(1n));
    await eventually("the record", () => watch.records.size === 1);
    expect(owner.condition).toEqual({ state: "listing" });
  });

  test("disposing withdraws everything of its own and nothing else", async () => {
    await using space = await openSpace();
    await using staying = await space.open();
    await staying.publish(record(1n));
    const leaving = await space.open();
    await leaving.publish(record(2n));
    await leaving[Symbol.asyncDispose]();
    using watch = follow(staying);
    await watch.ready;
    expect([...watch.records.keys()]).toEqual(["dynamo/backend/generate/1"]);
  });

  test("takes nothing more once it is disposed, and withdraws what was being published", async () => {
    await using space = await openSpace();
    const gone = await space.open();
    const publication = gone.publish(record(1n)).catch((error: unknown) => error);
    await gone[Symbol.asyncDispose]();
    await publication;
    await expect(gone.publish(record(2n))).rejects.toMatchObject({ code: "unavailable" });
    expect(() => gone.watch("v1/instances", () => undefined)).toThrow(expect.objectContaining({ code: "unavailable" }));
    await using reader = await space.open();
    using watch = follow(reader);
    await watch.ready;
    expect(watch.records.size).toBe(0);
  });
});

describe("the directory", () => {
  test("has Dynamo's layout, and leaves no temporary file", async () => {
    await using space = await fileSpace();
    await using owner = await space.open();
    await owner.publish(record(0x7a1994f9ea22c471n, "my-endpoint_1"));
    const names = await readdir(join(space.root, "v1/instances"));
    expect(names).toEqual(["dynamo%2Fbackend%2Fmy%2Dendpoint%5F1%2F7a1994f9ea22c471"]);
    const text = await readFile(join(space.root, "v1/instances", names[0] ?? ""), "utf8");
    expect(text).toContain('"instance_id":8798227148140889201,');
    expect(text.endsWith("}")).toBe(true);
  });

  test("a record removed by someone else is published again", async () => {
    await using space = await fileSpace();
    await using owner = await space.open();
    await owner.publish(record(1n));
    await rename(join(space.root, "v1"), join(space.root, "v0"));
    await eventually(
      "the record",
      async () => (await readdir(join(space.root, "v1/instances")).catch(() => [])).length === 1,
    );
  });

  test("a record whose owner is dead expires", async () => {
    await using space = await fileSpace();
    let now = startedAt;
    await using reader = await space.open({ now: () => now });
    await reader.publish(record(1n));
    const path = join(space.root, "v1/instances", encodeFileName(recordKey(record(2n))));
    await writeFile(path, formatRecord(record(2n)));
    await utimes(path, (startedAt - ttlMs + 1) / 1000, (startedAt - ttlMs + 1) / 1000);
    using watch = follow(reader);
    await eventually("both", () => watch.records.size === 2);
    now += 5; // the other's owner touches it
    await eventually("one", () => watch.records.size === 1);
    expect([...watch.records.keys()]).toEqual([recordKey(record(1n))]);
    await eventually("the file gone", async () => (await readdir(join(space.root, "v1/instances"))).length === 1);
  });

  test("what a killed writer left behind is swept, what is being written is not", async () => {
    await using space = await fileSpace();
    await using reader = await space.open();
    await reader.publish(record(1n));
    const bucket = join(space.root, "v1/instances");
    await writeFile(join(bucket, ".tmp_0123456789abcdef"), "{");
    await utimes(join(bucket, ".tmp_0123456789abcdef"), 1, 1);
    await writeFile(join(bucket, ".tmp_0123456789abcde0"), "{");
    using _watch = reader.watch("v1/instances", () => undefined);
    await eventually("the sweep", async () => !(await readdir(bucket)).includes(".tmp_0123456789abcdef"));
    expect(await readdir(bucket)).toContain(".tmp_0123456789abcde0");
  });

  test("files that are no records are passed over", async () => {
    await using space = await fileSpace();
    await using reader = await space.open();
    await reader.publish(record(1n));
    const bucket = join(space.root, "v1/instances");
    await writeFile(join(bucket, "garbage"), "{");
    await writeFile(join(bucket, "%E0%A4%A"), "{}");
    await writeFile(join(bucket, encodeFileName("dynamo/backend/generate/9")), formatRecord(record(8n)));
    using watch = follow(reader);
    await watch.ready;
    expect(watch.records.size).toBe(1);
    await reader.publish(record(2n));
    await eventually("a later listing", () => watch.records.size === 2);
    const ignored = space.lines.filter(({ message }) => message === "discovery record ignored");
    expect(ignored).toHaveLength(3); // once each
  });
});

test("file names decode to the keys they were made of", () => {
  fc.assert(
    fc.property(fc.string({ unit: "grapheme" }), (key) => {
      expect(encodeFileName(key)).toMatch(/^(?:[A-Za-z0-9]|%[0-9A-F]{2})*$/);
      expect(decodeFileName(encodeFileName(key))).toBe(key);
    }),
  );
});

test("records of a real Dynamo are read, ids exact", async () => {
  const directory = join(root, "tests/golden/dynamo/records");
  const instance = parseRecord(await readFile(join(directory, "instance.json"), "utf8"));
  expect(instance).toMatchObject({ type: "Endpoint", component: "backend", instance_id: 16_110_234_078_175_185_133n });
  expect(instance.type === "Endpoint" && toInstance(instance)).toBeUndefined(); // it does not speak dyn/1
  const card = parseRecord(await readFile(join(directory, "card.json"), "utf8"));
  expect(card).toMatchObject({
    type: "Model",
    instance_id: 16_110_234_078_175_185_133n,
    card_json: { display_name: "mock", model_input: "Tokens" },
  });
});

test.each([
  ["not JSON", "{"],
  ["null", "null"],
  ["a list", "[]"],
  [
    "an id in quotes",
    '{"type":"Endpoint","namespace":"a","component":"b","endpoint":"c","instance_id":"1","transport":{"tcp":"x"}}',
  ],
  [
    "an id with a fraction",
    '{"type":"Endpoint","namespace":"a","component":"b","endpoint":"c","instance_id":1.5,"transport":{"tcp":"x"}}',
  ],
  ["an unknown type", '{"type":"X","namespace":"a","component":"b","endpoint":"c","instance_id":1}'],
  [
    "a negative id",
    '{"type":"Endpoint","namespace":"a","component":"b","endpoint":"c","instance_id":-1,"transport":{"tcp":"x"}}',
  ],
  ["no transport", '{"type":"Endpoint","namespace":"a","component":"b","endpoint":"c","instance_id":1}'],
  [
    "a namespace no address can have",
    '{"type":"Endpoint","namespace":"Prod.A","component":"b","endpoint":"c","instance_id":1,"transport":{"tcp":"x"}}',
  ],
  [
    "an empty component",
    '{"type":"Endpoint","namespace":"a","component":"","endpoint":"c","instance_id":1,"transport":{"tcp":"x"}}',
  ],
  [
    "an id beyond a u64",
    '{"type":"Endpoint","namespace":"a","component":"b","endpoint":"c","instance_id":18446744073709551616,"transport":{"tcp":"x"}}',
  ],
  ...["display_name", "model_type", "model_input"].map((field): [string, string] => [
    `a card whose ${field} is no text`,
    formatRecord({ ...card(1n), card_json: { ...card(1n).card_json, [field]: 7 } }),
  ]),
  ["a card that is a list", formatRecord({ ...card(1n), card_json: [] as never })],
  [
    "a card whose context_length is negative",
    formatRecord({ ...card(1n), card_json: { ...card(1n).card_json, context_length: -1 } }),
  ],
  [
    "a card with a time beyond all calendars",
    formatRecord({ ...card(1n), card_json: { ...card(1n).card_json, dyn_created: 1e18 } }),
  ],
  [
    "a card without a name",
    '{"type":"Model","namespace":"a","component":"b","endpoint":"c","instance_id":1,"card_json":{}}',
  ],
])("%s is refused", (_name, text) => {
  expect(() => parseRecord(text)).toThrow(/discovery record/);
});

test("addresses are checked and slugs follow Dynamo's rule", () => {
  expect(parseAddress("dyn://a.b-1.c_2")).toEqual({ namespace: "a", component: "b-1", endpoint: "c_2" });
  for (const uri of ["", "a.b.c", "dyn://a.b", "dyn://a.b.c.d", "dyn://A.b.c", "dyn://a.b.c/"])
    expect(() => parseAddress(uri)).toThrow(/is no endpoint/);
  expect(toSlug("Qwen/Qwen3-0.6B")).toBe("qwen_qwen3-0_6b");
});
