/** Coded bodies: what comes out of them is within the limit, and what another reader of the coding has. */
import * as zlib from "node:zlib";
import { createContentDecoder, parseCodings } from "../../packages/runtime/src/http/content-coding.ts";
import { mutateBytes } from "./mutate-bytes.ts";
import { assertThat, type Target } from "./target.ts";

/** Small, so that changed lengths go beyond it. */
const maxBytes = 4_096;
const decoder = createContentDecoder();

interface Coder {
  readonly name: string;
  readonly compress: (body: Buffer) => Buffer;
  /** All at once. Undefined where only the decoder takes all that there is. */
  readonly decompress?: (body: Buffer, options: { readonly maxOutputLength: number }) => Buffer;
}

// The first byte of a case says which.
const coders: readonly [Coder, ...Coder[]] = [
  { name: "gzip", compress: zlib.gzipSync, decompress: zlib.gunzipSync },
  { name: "br", compress: zlib.brotliCompressSync, decompress: zlib.brotliDecompressSync },
  { name: "zstd", compress: zlib.zstdCompressSync, decompress: zlib.zstdDecompressSync },
  { name: "deflate", compress: zlib.deflateSync },
  { name: "deflate", compress: zlib.deflateRawSync },
];

const text = Buffer.from(
  JSON.stringify({ model: "mock", messages: [{ role: "user", content: "café 😀 ".repeat(20) }] }),
);
const plain = [text, Buffer.alloc(0), Buffer.alloc(maxBytes, "a"), Buffer.alloc(8 * maxBytes)];

async function feedCoded(bytes: Buffer): Promise<void> {
  const { name, decompress } = coders[(bytes[0] ?? 0) % coders.length] ?? coders[0];
  const body = bytes.subarray(1);
  const decoded = await decoder.decode(body, parseCodings(name), { maxBytes });
  assertThat(decoded.length <= maxBytes, "more came out than there may be");
  assertThat(
    decompress?.(body, { maxOutputLength: maxBytes }).equals(decoded) !== false,
    "another reader has something else",
  );
}

export const codedTargets: readonly Target[] = [
  {
    name: "coded",
    codes: ["invalid_argument", "too_large"],
    corpus: coders.flatMap(({ compress }, index) =>
      plain.map((body) => Buffer.concat([Buffer.of(index), compress(body)])),
    ),
    // Checksums refuse most of what is changed.
    mutate: (random, corpus) =>
      random.oneIn(10) ? random.pick(corpus) : mutateBytes(random, random.pick(corpus), corpus),
    feed: feedCoded,
  },
];
