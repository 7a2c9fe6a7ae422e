// What the bytes of a body mean: undone codings, text that is UTF-8, and whole characters.
import { describe, expect, test } from "vitest";
import {
  brotliCompressSync,
  constants,
  deflateRawSync,
  deflateSync,
  gzipSync,
  zstdCompressSync,
  type BrotliOptions,
  type ZlibOptions,
  type ZstdOptions,
} from "node:zlib";
import { parseJsonBody } from "../packages/frontend/src/http/body.ts";
import { checkContent } from "../packages/frontend/src/http/content.ts";
import { createContentDecoder, parseCodings } from "../packages/runtime/src/http/content-coding.ts";
import { decodeText } from "../packages/runtime/src/http/content-text.ts";

type Compress = (body: Buffer, options?: ZlibOptions & BrotliOptions & ZstdOptions) => Buffer;

const codings: readonly (readonly [name: string, header: string, compress: Compress])[] = [
  ["gzip", "gzip", gzipSync],
  ["gzip by its old name", "X-GZip", gzipSync],
  ["deflate", "deflate", deflateSync],
  ["deflate without its header", "deflate", deflateRawSync],
  ["br", "br", (body) => brotliCompressSync(body, { params: { [constants.BROTLI_PARAM_QUALITY]: 1 } })],
  ["zstd", "zstd", zstdCompressSync],
];
const mib = 1_048_576;
const small = Buffer.from(JSON.stringify({ text: "hello 😀 ".repeat(100) }));
const large = Buffer.alloc(3 * mib + 7, "what is over a MiB is decoded twice. ");

function decode(body: Buffer, header: string, maxBytes = 4 * mib, signal?: AbortSignal): Promise<Buffer> {
  return createContentDecoder().decode(body, parseCodings(header), { maxBytes, setting: "X" }, signal);
}

describe.each(codings)("%s", (_name, header, compress) => {
  test.each([
    ["nothing", Buffer.alloc(0)],
    ["a small body", small],
    ["a large body", large],
    ["as much as there may be", Buffer.alloc(4 * mib)],
  ])("is undone: %s", async (_what, body) => {
    expect((await decode(compress(body), header)).equals(body)).toBe(true);
  });

  test("is cut off behind the limit", async () => {
    const error = "the request body is larger than 4194304 bytes, the limit set by X";
    await expect(decode(compress(Buffer.alloc(4 * mib + 1)), header)).rejects.toMatchObject({ code: "too_large", message: error });
    await expect(decode(compress(Buffer.alloc(64 * mib)), header)).rejects.toMatchObject({ code: "too_large" });
  });

  test.each([small, large])("must be whole, and be all (%#)", async (body) => {
    const whole = compress(body);
    for (const length of [1, whole.length >> 1, whole.length - 1]) {
      await expect(decode(whole.subarray(0, length), header)).rejects.toMatchObject({
        code: "invalid_argument",
        message: expect.stringMatching(/^the request body ends in the middle of its (?:gzip|deflate|br|zstd) data$/),
      });
    }
    for (const more of [Buffer.from("x"), Buffer.alloc(9), Buffer.from('{"model":"other"}')])
      await expect(decode(Buffer.concat([whole, more]), header)).rejects.toMatchObject({ code: "invalid_argument" });
  });

  test("is not what a plain body is", async () => {
    await expect(decode(small, header)).rejects.toMatchObject({
      code: "invalid_argument",
      message: expect.stringMatching(/^the request body is not valid (?:gzip|deflate|br|zstd), which its content-encoding says it is$/),
    });
  });
});

describe("a content-encoding", () => {
  test.each([undefined, "", "identity", " , Identity,", "identity, identity"])("%j is none", (header) => {
    expect(parseCodings(header)).toEqual([]);
  });

  test("of several is undone from the last to the first", async () => {
    const body = zstdCompressSync(brotliCompressSync(gzipSync(small)));
    expect((await decode(body, "gzip, br,identity , ZSTD")).equals(small)).toBe(true);
    await expect(decode(body, "zstd, br, gzip")).rejects.toMatchObject({ code: "invalid_argument" });
    expect(() => parseCodings("gzip, gzip, gzip, gzip")).toThrow("content-encoding names 4 codings, the limit is 3");
  });

  test.each(["compress", "x-compress", "aws-chunked", "utf-8", "gzip;q=1", '"gzip"', "gzip br", "constructor", "x".repeat(10_000)])(
    "%j is refused with those that could be read",
    (header) => {
      const [name = ""] = header.split(",");
      expect(() => parseCodings(`gzip, ${header}`)).toThrow(
        expect.objectContaining({
          code: "unsupported_media_type",
          message: `content-encoding must be of gzip, deflate, br, zstd or identity, got ${JSON.stringify(name.slice(0, 128))}`,
          headers: { "accept-encoding": "gzip, deflate, br, zstd" },
        }),
      );
    },
  );

  test("of a bomb in a bomb stops at the first that is too large", async () => {
    const bomb = gzipSync(gzipSync(Buffer.alloc(64 * mib)));
    await expect(decode(bomb, "gzip, gzip", 16_384)).rejects.toMatchObject({ code: "too_large" });
  });

  test("of members of gzip has them all, and one frame of zstd", async () => {
    expect((await decode(Buffer.concat([gzipSync(small), gzipSync(small)]), "gzip")).length).toBe(2 * small.length);
    const two = Buffer.concat([zstdCompressSync(small), zstdCompressSync(small)]);
    await expect(decode(two, "zstd")).rejects.toThrow(/goes on for \d+ bytes after the end of its zstd data/);
  });

  test("that wants more memory than its body is refused before it has it", async () => {
    const greedy = zstdCompressSync(Buffer.alloc(30 * mib), { params: { [constants.ZSTD_c_windowLog]: 25 } });
    await expect(decode(greedy, "zstd")).rejects.toThrow("the request body needs a zstd window of more than 8 MiB, the limit of RFC 9659");
  });
});

describe("the decoder", () => {
  test("lets others work while it does", async () => {
    let turns = 0;
    let isDone = false;
    const turn = (): void => {
      turns += 1;
      if (!isDone) setImmediate(turn);
    };
    setImmediate(turn);
    await decode(gzipSync(Buffer.alloc(32 * mib)), "gzip", 32 * mib);
    isDone = true;
    expect(turns).toBeGreaterThan(16);
  });

  test("does a few at a time, and all in the end", async () => {
    const decoder = createContentDecoder({ places: 1 });
    const all = Array.from({ length: 20 }, (_, index) => Buffer.from(`body ${index}`));
    const limit = { maxBytes: 100 };
    const decoded = all.map((body, index) => decoder.decode(index % 2 === 0 ? gzipSync(body) : body, parseCodings("gzip"), limit));
    const settled = await Promise.allSettled(decoded);
    const texts = settled.map((each) => (each.status === "fulfilled" ? each.value.toString() : "refused"));
    expect(texts).toEqual(all.map((body, index) => (index % 2 === 0 ? body.toString() : "refused")));
  });

  test("stops when nobody wants the body any more", async () => {
    const aborter = new AbortController();
    const reason = new RangeError("gone");
    const decoding = decode(gzipSync(large), "gzip", 4 * mib, aborter.signal);
    aborter.abort(reason);
    await expect(decoding).rejects.toBe(reason);
  });
});

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
    ["a character beyond the last", Buffer.of(0x61, 0x61, 0xf4, 0x90, 0x80, 0x80), "unexpected byte 0xf4 at position 2 of 6"],
    ["UTF-16 with its mark", Buffer.from("\ufeff{}", "utf16le"), "it seems to be UTF-16 or UTF-32"],
    ["UTF-16 the other way round", Buffer.from("\ufeff{}", "utf16le").swap16(), "it seems to be UTF-16 or UTF-32"],
    ["UTF-16 without its mark", Buffer.from("{}", "utf16le"), "it seems to be UTF-16 or UTF-32"],
    ["UTF-16 the other way round, without its mark", Buffer.from("{}", "utf16le").swap16(), "it seems to be UTF-16 or UTF-32"],
  ])("are refused with their place: %s", (_name, body, message) => {
    expect(() => decodeText(Buffer.from(body))).toThrow(`the request body is not UTF-8: ${message}`);
  });

  test("are found wherever they are", () => {
    const text = Buffer.from("aé€😀".repeat(50));
    for (let at = 2; at < text.length; at += 1) {
      const isStart = ((text[at] ?? 0) & 0xc0) !== 0x80;
      if (isStart)
        expect(() => decodeText(Buffer.concat([text.subarray(0, at), Buffer.of(0xff), text.subarray(at)]))).toThrow(`0xff at position ${at} of`);
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
    ['{"messages":[{"content":"ab\\ud83dc"}]}', "messages[0].content holds half of a character: \\ud83d at position 2 has no other half"],
    ['{"prompt":["a","\\uDE00"]}', "prompt[1] holds half of a character: \\ude00 at position 0 has no other half"],
    ['{"stop":"\\ude00\\ud83d"}', "stop holds half of a character: \\ude00 at position 0"],
    ['{"tools":[{"\\ud83d":1}]}', "a key of tools[0] holds half of a character: \\ud83d"],
    ['{"\\ud83d":1}', "a key of the request body holds half of a character"],
    ['"\\ud83d"', "the request body holds half of a character"],
    [`${'{"a":['.repeat(5_000)}"\\ud83d"${"]}".repeat(5_000)}`, "a[0].a[0].a[0].a"],
  ])("is refused by name: %.60s", (json, message) => {
    expect(() => parseJsonBody(Buffer.from(json))).toThrow(message);
  });

  test.each(['{"a":"\\ud83d\\ude00"}', '{"a":"\\uD83D\\uDE00 😀"}', '{"a":"\\\\ud83d"}', '{"a":"\\ufffd"}', '{"\\ud83d\\ude00":null}'])(
    "is none of %s",
    (json) => {
      expect(parseJsonBody(Buffer.from(json))).toEqual(JSON.parse(json));
    },
  );
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
    expect(() => checkContent({ "content-type": type, "content-encoding": "br" })).not.toThrow();
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
    expect(() => checkContent(given)).toThrow(expect.objectContaining({ code: "unsupported_media_type", message: expect.stringContaining(message) }));
  });

  test("a part of a body is refused", () => {
    expect(() => checkContent({ "content-type": json, "content-range": "bytes 0-9/100" })).toThrow(
      expect.objectContaining({ code: "invalid_argument", message: expect.stringContaining("content-range") }),
    );
  });

  test("of a 415 say what could be read: a type or a coding, never both", () => {
    expect(() => checkContent({ "content-type": "text/plain", "content-encoding": "compress" })).toThrow(
      expect.objectContaining({ headers: { accept: json } }),
    );
    expect(() => checkContent({ "content-type": json, "content-encoding": "compress" })).toThrow(
      expect.objectContaining({ headers: { "accept-encoding": "gzip, deflate, br, zstd" } }),
    );
  });
});
