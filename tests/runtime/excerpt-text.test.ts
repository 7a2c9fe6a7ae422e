import { expect, test } from "vitest";
import { excerpt } from "../../packages/runtime/src/excerpt.ts";

test.each([
  ["a text that is short already", "abc", 9, "abc"],
  ["the beginning of a long one", "abcdefghijklmnopqrstuvwxyz", 20, "abcdefghijklmnopqrst"],
  ["half of a character in a short text", "a\ud83d", 9, "a\ufffd"],
  ["a short text cut within a character", "a😀b", 2, "a\ufffd"],
  ["a long text cut within a character", `${"x".repeat(19)}😀`, 20, `${"x".repeat(19)}\ufffd`],
])("%s", (_name, text, most, expected) => {
  expect(excerpt(text, most)).toBe(expected);
});
