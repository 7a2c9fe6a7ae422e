// What the bytes of a body mean: text that is UTF-8, and whole characters.
import { describe, expect, test } from "vitest";
import { parseJsonBody } from "../../packages/frontend/src/http/body.ts";
import { checkJsonContent } from "../../packages/runtime/src/http/content.ts";
import { decodeText } from "../../packages/runtime/src/http/content-text.ts";

const mib = 1_048_576;

describe("bytes that are not UTF-8", () => {
  test.each<[string, string | Buffer, string]>([
    ["Latin-1", Buffer.from('{"a":"café"}', "latin1"), "unexpected byte 0xe9 at position 9 of 12"],
    ["GBK", Buffer.from('{"a":"\xc4\xe3\xba\xc3"}', "latin1"), "unexpected byte 0xc4 at position 6 of 12"],
    ["half a character at the end", Buffer.from("😀").subarray(0, 3), "unexpected byte 0xf0 at position 0 of 3"],
    ["half a character in the middle", Buffer.from("aé\xe2\x82b", "latin1"), "unexpected byte 0xe9 at position 1 of 5"],
    [
      "behind characters that stand for lost ones",
      Buffer.concat([Buffer.from("\ufffd\ufffd"), Buffer.of(0xff)]),
      "unexpected byte 0xff at position 6 of 7",
    ],
    ["an overlong NUL", Buffer.of(0x61, 0x61, 0xc0, 0x80), "unexpected byte 0xc0 at position 2 of 4"],
    ["half of a surrogate pair", Buffer.of(0x61, 0x61, 0xed, 0xa0, 0x80), "unexpected byte 0xed at position 2 of 5"],
    [
      "a character beyond the last",
      Buffer.of(0x61, 0x61, 0xf4, 0x90, 0x80, 0x80),
      "unexpected byte 0xf4 at position 2 of 6",
    ],
    [
      "gzip without a word of it",
      Buffer.of(0x1f, 0x8b, 0x08, 0x00),
      "unexpected byte 0x8b at position 1 of 4; it looks like gzip, which content-encoding must say",
    ],
    ["UTF-16 with its mark", Buffer.from("\ufeff{}", "utf16le"), "it seems to be UTF-16 or UTF-32"],
    ["UTF-16 the other way round", Buffer.from("\ufeff{}", "utf16le").swap16(), "it seems to be UTF-16 or UTF-32"],
    ["UTF-16 without its mark", Buffer.from("{}", "utf16le"), "it seems to be UTF-16 or UTF-32"],
    [
      "UTF-16 the other way round, without its mark",
      Buffer.from("{}", "utf16le").swap16(),
      "it seems to be UTF-16 or UTF-32",
    ],
  ])("are refused with their place: %s", (_name, body, message) => {
    expect(() => decodeText(Buffer.from(body))).toThrow(`the request body is not UTF-8: ${message}`);
  });

  test("are found wherever they are", () => {
    const text = Buffer.from("aé€😀".repeat(50));
    for (let at = 2; at < text.length; at += 1) {
      const isStart = ((text[at] ?? 0) & 0xc0) !== 0x80;
      if (isStart)
        expect(() => decodeText(Buffer.concat([text.subarray(0, at), Buffer.of(0xff), text.subarray(at)]))).toThrow(
          `0xff at position ${at} of`,
        );
    }
  });

  test("are found in large bodies without a scan of each", () => {
    const body = Buffer.alloc(45 * mib, "\ufffd");
    body[body.length - 1] = 0x20;
    expect(() => decodeText(body)).toThrow(`unexpected byte 0xef at position ${body.length - 3} of ${body.length}`);
    expect(() => decodeText(Buffer.alloc(45 * mib, 0x80))).toThrow("unexpected byte 0x80 at position 0 of");
  });
});

describe("a byte order mark", () => {
  test("is read over, once", () => {
    expect(parseJsonBody(Buffer.from('\ufeff{"a":"\ufeff"}'))).toEqual({ a: "\ufeff" });
    expect(() => parseJsonBody(Buffer.from("\ufeff\ufeff{}"))).toThrow("unexpected character at position 0 of 3");
    expect(() => parseJsonBody(Buffer.from("\ufeff"))).toThrow("it ends too early");
  });
});

describe("half of a character, which JSON can write and UTF-8 cannot", () => {
  test.each([
    [
      '{"messages":[{"content":"ab\\ud83dc"}]}',
      "messages[0].content holds half of a character: \\ud83d at position 2 has no other half",
    ],
    ['{"prompt":["a","\\uDE00"]}', "prompt[1] holds half of a character: \\ude00 at position 0 has no other half"],
    ['{"stop":"\\ude00\\ud83d"}', "stop holds half of a character: \\ude00 at position 0"],
    ['{"tools":[{"\\ud83d":1}]}', "a key of tools[0] holds half of a character: \\ud83d"],
    ['{"\\ud83d":1}', "a key of the request body holds half of a character"],
    ['"\\ud83d"', "the request body holds half of a character"],
    [`${'{"a":['.repeat(5_000)}"\\ud83d"${"]}".repeat(5_000)}`, "a[0].a[0].a[0].a"],
  ])("is refused by name: %.60s", (json, message) => {
    expect(() => parseJsonBody(Buffer.from(json))).toThrow(message);
  });

  test.each([
    '{"a":"\\ud83d\\ude00"}',
    '{"a":"\\uD83D\\uDE00 😀"}',
    '{"a":"\\\\ud83d"}',
    '{"a":"\\ufffd"}',
    '{"\\ud83d\\ude00":null}',
  ])("is none of %s", (json) => {
    expect(parseJsonBody(Buffer.from(json))).toEqual(JSON.parse(json));
  });
});

describe("the headers of a body", () => {
  const json = "application/json";

  test.each([
    json,
    "Application/JSON ; charset=UTF-8",
    'application/json; charset="utf-8"',
    "application/json;charset=utf8",
    "application/vnd.api+json; v=1; charset = utf-8",
    "application/json;",
  ])("%j is taken", (type) => {
    expect(() => checkJsonContent({ "content-type": type, "content-encoding": "br" })).not.toThrow();
  });

  test.each([
    ["application/json; charset=latin1", 'the charset of content-type must be utf-8, got "latin1"'],
    ['application/json; a=b; Charset="UTF-16"', 'got "UTF-16"'],
    ["application/json; charset=utf-8; charset=gbk", 'got "gbk"'],
    ["application/json; charset=", 'got ""'],
    ["text/json", 'content-type must be application/json, got "text/json"'],
    ["application/jsonl", 'content-type must be application/json, got "application/jsonl"'],
    ["application/json, text/plain", "content-type must be application/json"],
    [undefined, "content-type must be application/json, got none"],
  ])("%j is a 415", (type, message) => {
    const given = type === undefined ? {} : { "content-type": type };
    expect(() => checkJsonContent(given)).toThrow(
      expect.objectContaining({ code: "unsupported_media_type", message: expect.stringContaining(message) }),
    );
  });

  test("a part of a body is refused", () => {
    expect(() => checkJsonContent({ "content-type": json, "content-range": "bytes 0-9/100" })).toThrow(
      expect.objectContaining({ code: "invalid_argument", message: expect.stringContaining("content-range") }),
    );
  });

  test("of a 415 say what could be read: a type or a coding, never both", () => {
    for (const type of ["text/plain", "application/json; charset=gbk"]) {
      expect(() => checkJsonContent({ "content-type": type, "content-encoding": "compress" })).toThrow(
        expect.objectContaining({ headers: { accept: json } }),
      );
    }
    expect(() => checkJsonContent({ "content-type": json, "content-encoding": "compress" })).toThrow(
      expect.objectContaining({ headers: { "accept-encoding": "gzip, deflate, br, zstd" } }),
    );
  });
});
