// Pages that anybody may ask for: how often they are made, and who shares one.
import { expect, test } from "vitest";
import { sharePages } from "../../../packages/runtime/src/http/shared-pages.ts";
import { eventually } from "../../support/cluster.ts";

interface Fixture {
  readonly get: (key: string) => Promise<string>;
  readonly advance: (ms: number) => void;
  /** Pages that were made. */
  readonly made: readonly string[];
}

/** Each page takes `costMs`. */
function createFixture(costMs: number): Fixture {
  let clock = 0;
  const made: string[] = [];
  const make = (key: string): string => {
    clock += costMs;
    made.push(`${key} ${made.length + 1}`);
    return `${key} ${made.length}`;
  };
  return { get: sharePages(make, () => clock), advance: (ms) => void (clock += ms), made };
}

test("who asks seldom has a page that is new, however soon after a cheap one", async () => {
  const { get } = createFixture(1);
  expect([await get("text"), await get("text"), await get("text")]).toEqual(["text 1", "text 2", "text 3"]);
});

test("pages are made for a tenth of the time at most, and those who ask meanwhile share the last one", async () => {
  const { get, advance, made } = createFixture(5);
  const got: string[] = [];
  for (let count = 0; count < 200; count += 1) {
    got.push(await get("text"));
    advance(2);
  }
  expect(made).toHaveLength(10); // 5 of 250 ms, twice
  expect(new Set(got)).toEqual(new Set(made));
});

test("a page that is costly is made once in 250 ms, and then anew", async () => {
  const { get, advance } = createFixture(100);
  expect([await get("text"), await get("text")]).toEqual(["text 1", "text 1"]);
  advance(149);
  expect(await get("text")).toBe("text 1");
  advance(1);
  expect(await get("text")).toBe("text 2");
});

test("each form of a page is one of its own", async () => {
  const { get } = createFixture(100);
  expect([await get("text"), await get("openmetrics"), await get("text")]).toEqual([
    "text 1",
    "openmetrics 2",
    "text 1",
  ]);
});

test("those who ask while a page is made share it", async () => {
  let finish: (() => void) | undefined;
  let made = 0;
  const get = sharePages(
    () => {
      made += 1;
      return new Promise<string>((resolve) => (finish = () => resolve(`page ${made}`)));
    },
    () => 0,
  );
  const both = Promise.all([get("text"), get("text")]);
  (await eventually("it being made", () => finish))();
  expect(await both).toEqual(["page 1", "page 1"]);
});

test("a page that cannot be made is tried again by the next", async () => {
  let fails = true;
  const get = sharePages(
    (key: string) => {
      if (fails) throw new Error("not now");
      return key;
    },
    () => 0,
  );
  await expect(get("text")).rejects.toThrow("not now");
  fails = false;
  expect(await get("text")).toBe("text");
});
