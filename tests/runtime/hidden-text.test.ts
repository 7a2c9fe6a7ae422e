// Characters that a terminal obeys or nobody sees are escaped; what people write in their languages stays as it is.
import { describe, expect, test } from "vitest";
import { escapeHidden, hasHidden } from "../../packages/runtime/src/hidden-text.ts";
import { formatJsonLine, formatReadable } from "../../packages/runtime/src/logging/format.ts";
import { parseReadableLine } from "../support/log-lines.ts";
import { writeLine } from "../support/logger.ts";

const range = (first: number, last: number): number[] =>
  Array.from({ length: last - first + 1 }, (_, index) => first + index);

// From the charts, and not from the properties that the code uses.
const hidden: readonly (readonly [name: string, points: readonly number[]])[] = [
  ["controls", [...range(0x00, 0x1f), ...range(0x7f, 0x9f)]],
  [
    "marks and changes of the writing direction",
    [0x061c, 0x200e, 0x200f, ...range(0x202a, 0x202e), ...range(0x2066, 0x206f)],
  ],
  ["ends of lines and paragraphs", [0x2028, 0x2029]],
  ["the byte order mark and annotations", [0xfeff, 0xfff9, 0xfffa, 0xfffb]],
  [
    "soft hyphens, joiners and what has no width",
    [0xad, 0x034f, 0x180e, 0x200b, 0x200c, 0x200d, ...range(0x2060, 0x2064)],
  ],
  ["fillers", [0x115f, 0x1160, 0x3164, 0xffa0]],
  ["tag characters", range(0xe0000, 0xe007f)],
  ["variation selectors", [...range(0x180b, 0x180d), ...range(0xfe00, 0xfe0f), ...range(0xe0100, 0xe01ef)]],
  ["halves of characters", [0xd800, 0xdbff, 0xdc00, 0xdfff]],
];

const escapes = (text: string): string =>
  text.replace(/[^]/g, (unit) => `\\u${unit.charCodeAt(0).toString(16).padStart(4, "0")}`);

describe("hidden characters", () => {
  test.each(hidden)("that are %s are escaped, and say the same in JSON", (_name, points) => {
    for (const point of points) {
      const character = String.fromCodePoint(point);
      const text = `mo${character}del`;
      expect(escapeHidden(text)).toBe(`mo${escapes(character)}del`);
      expect(hasHidden(text)).toBe(true);
      const made = writeLine({ model: text }, text);
      const [json, readable] = [formatJsonLine(made), formatReadable(made)].map((line) => line.slice(0, -1));
      for (const line of [json, readable]) expect(line).toMatch(/^[ -~]*$/);
      expect(JSON.parse(json ?? "")).toMatchObject({ message: text, model: text });
      expect(parseReadableLine(readable ?? "").values.get("model")).toBe(text);
    }
  });

  test.each([
    ["tags behind a flag", "🏴\u{e0067}\u{e0062}\u{e007f}", "🏴\\udb40\\udc67\\udb40\\udc62\\udb40\\udc7f"],
    ["a second joiner", "👩\u200d\u200d💻", "👩\u200d\\u200d💻"],
    ["a second selector", "❤\ufe0f\ufe0f", "❤\ufe0f\\ufe0f"],
    ["selectors that carry bytes", "😀\u{e0158}\u{e0155}", "😀\\udb40\\udd58\\udb40\\udd55"],
    ["a selector behind a digit", "1\ufe0f", "1\\ufe0f"],
    ["a joiner between letters that do not join", "p\u0430y\u200cpal", "p\u0430y\\u200cpal"],
  ])("that hide behind others are escaped: %s", (_name, text, expected) => {
    expect(escapeHidden(text)).toBe(expected);
  });

  test.each([
    ["Hebrew", "שָׁלוֹם עולם, 3 טוקנים"],
    ["Arabic", "مرحبا بالعالم، ١٢٣ \u0601"],
    ["Persian, with joiners", "می\u200cخواهم کتاب\u200cها"],
    ["Hindi, Bengali and Sinhala, with joiners", "क्\u200dष र्\u200dय শ্রী ශ්\u200dරී"],
    ["Thai, Tamil and Khmer", "สวัสดี தமிழ் ភាសា"],
    ["Chinese, Japanese and Korean", "模型　日本語 か゛ 한국어 ｶﾞ"],
    ["Mongolian, with selectors", "ᠮᠣᠩᠭᠣᠯ ᠠ\u180b"],
    ["Latin, Greek and Cyrillic", "naïve Ωμέγα ёж e\u0301 ½ €"],
    [
      "emoji",
      "👍🏽 ❤\ufe0f ❤\ufe0f\u200d🔥 👨\u200d👩\u200d👧\u200d👦 👩🏽\u200d💻 🏳\ufe0f\u200d🌈 🇩🇪 1\ufe0f\u20e3 ©\ufe0f",
    ],
  ])("are not in %s", (_name, text) => {
    expect(escapeHidden(text)).toBe(text);
    expect(hasHidden(text)).toBe(false);
    expect(formatJsonLine(writeLine({}, text))).toContain(text);
  });

  test("are found in long texts in the time it takes to read them", () => {
    const startedAt = performance.now();
    for (const part of ["a", "é", "❤\ufe0f", "\u200d", "ب\u200c", "\u{e0041}"]) escapeHidden(part.repeat(200_000));
    expect(performance.now() - startedAt).toBeLessThan(10_000); // what takes the square of their length takes hours
  });
});
