import { expect, test } from "vitest";
import { RecentMap, RecentSet } from "../../packages/runtime/src/recent.ts";

test("a set of the latest keys forgets the oldest for one too many", () => {
  const recent = new RecentSet<string>(2);
  recent.add("a").add("b").add("c");
  expect([...recent]).toEqual(["b", "c"]);
});

test("a key that is added again is the latest, and costs no other its place", () => {
  const recent = new RecentSet<string>(2);
  recent.add("a").add("b").add("a");
  expect([...recent]).toEqual(["b", "a"]);
  expect([...recent.add("c")]).toEqual(["a", "c"]);
});

test("a map of the latest keys keeps the latest value of each", () => {
  const recent = new RecentMap<string, number>(2);
  recent.set("a", 1).set("b", 2).set("a", 3).set("c", 4);
  expect([...recent]).toEqual([
    ["a", 3],
    ["c", 4],
  ]);
});
