// The codings of a body: undone within the limit, a few at a time, and nothing is held for who has left.
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
import { createContentDecoder, parseCodings } from "../../../packages/runtime/src/http/content-coding.ts";

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
    await expect(decode(compress(Buffer.alloc(4 * mib + 1)), header)).rejects.toMatchObject({
      code: "too_large",
      message: error,
    });
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
      message: expect.stringMatching(
        /^the request body is not valid (?:gzip|deflate|br|zstd), which its content-encoding says it is$/,
      ),
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

  test.each([
    "compress",
    "x-compress",
    "aws-chunked",
    "utf-8",
    "gzip;q=1",
    '"gzip"',
    "gzip br",
    "constructor",
    "x".repeat(10_000),
  ])("%j is refused with those that could be read", (header) => {
    const [name = ""] = header.split(",");
    expect(() => parseCodings(`gzip, ${header}`)).toThrow(
      expect.objectContaining({
        code: "unsupported_media_type",
        message: `content-encoding must be gzip, deflate, br, zstd or identity, got ${JSON.stringify(name.slice(0, 128))}`,
        headers: { "accept-encoding": "gzip, deflate, br, zstd" },
      }),
    );
  });

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
    await expect(decode(greedy, "zstd")).rejects.toThrow(
      "the request body needs a zstd window of more than 8 MiB, the limit of RFC 9659",
    );
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
    const decoded = all.map((body, index) =>
      decoder.decode(index % 2 === 0 ? gzipSync(body) : body, parseCodings("gzip"), limit),
    );
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

  test("keeps no body waiting for its turn when nobody wants it any more", async () => {
    const decoder = createContentDecoder({ places: 1 });
    const aborter = new AbortController();
    const reason = new RangeError("gone");
    const ended: string[] = [];
    const [limit, gzip] = [{ maxBytes: 4 * mib }, parseCodings("gzip")];
    const first = decoder.decode(gzipSync(large), gzip, limit).then(() => ended.push("first"));
    const left = decoder
      .decode(gzipSync(small), gzip, limit, aborter.signal)
      .catch((error: unknown) => ended.push(error === reason ? "left" : "?"));
    const last = decoder.decode(gzipSync(small), gzip, limit).then(() => ended.push("last"));
    aborter.abort(reason);
    await Promise.all([first, left, last]);
    expect(ended).toEqual(["left", "first", "last"]);
    await expect(decoder.decode(gzipSync(small), gzip, limit, aborter.signal)).rejects.toBe(reason);
  });
});
