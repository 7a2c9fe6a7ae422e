/** Logs as plain bytes: packed ones are known by their first bytes, not by their names. */
import { pipeline } from "node:stream/promises";
import { createGunzip, createZstdDecompress } from "node:zlib";
import { RuntimeError } from "@dyn/runtime";

/** Something to read lines from. */
export interface Source {
  /** As it is shown. */
  readonly name: string;
  /** What unpacks it; undefined if it is not packed. */
  readonly packing: string | undefined;
  /** Its end is missing, as far as that has been read: it is being written, or was cut off. */
  readonly isCut: boolean;
  /** From the beginning. A chunk is valid until the next one is asked for. */
  read(): AsyncIterable<Buffer>;
}

interface Packing {
  readonly name: string;
  readonly magic: Buffer;
  /** Undefined if Node cannot unpack it. */
  readonly create:
    | ((options: { chunkSize: number }) => ReturnType<typeof createGunzip | typeof createZstdDecompress>)
    | undefined;
}

// Sources: RFC 1952, RFC 8878, the formats of xz and bzip2.
const packings: readonly Packing[] = [
  { name: "gzip", magic: Buffer.from("1f8b08", "hex"), create: createGunzip },
  { name: "zstd", magic: Buffer.from("28b52ffd", "hex"), create: createZstdDecompress },
  { name: "xz", magic: Buffer.from("fd377a585a00", "hex"), create: undefined },
  { name: "bzip2", magic: Buffer.from("BZh"), create: undefined },
];
const longestMagic = 6;
const chunkBytes = 256 * 1024;

/** A source of what `read` gives, unpacked if it is packed. */
export async function toUnpacked(name: string, read: Source["read"]): Promise<Source> {
  const head = await readHead(read);
  const packing = packings.find(({ magic }) => head.subarray(0, magic.length).equals(magic));
  if (!packing) return { name, packing: undefined, isCut: false, read };
  const { create } = packing;
  if (!create)
    throw new RuntimeError(
      "invalid_argument",
      `cannot read ${name}: it is packed; give <(${packing.name} -dc ${name}) instead`,
    );
  let isCut = false;
  return {
    name,
    packing: packing.name,
    get isCut() {
      return isCut;
    },
    read: () => unpack(read, create({ chunkSize: chunkBytes }), () => (isCut = true)),
  };
}

async function readHead(read: Source["read"]): Promise<Buffer> {
  let head = Buffer.alloc(0);
  for await (const chunk of read()) {
    head = Buffer.concat([head, chunk.subarray(0, longestMagic)]);
    if (head.length >= longestMagic) break;
  }
  return head;
}

async function* unpack(
  read: Source["read"],
  unpacked: ReturnType<NonNullable<Packing["create"]>>,
  onCut: () => void,
): AsyncGenerator<Buffer, void, void> {
  let given = 0;
  const feed = async function* (): AsyncGenerator<Buffer, void, void> {
    for await (const chunk of read()) {
      given += chunk.length;
      yield Buffer.from(chunk); // the stream holds several
    }
  };
  const fed = pipeline(feed(), unpacked).catch(() => undefined); // the reader below meets the same error
  try {
    yield* unpacked as AsyncIterable<Buffer>; // no encoding is set
  } catch (error) {
    if (!(error instanceof Error && "code" in error && error.code === "Z_BUF_ERROR")) throw error;
    return onCut(); // what there was has been read
  }
  await fed;
  // Node's zstd leaves out what follows a frame within one chunk.
  if (unpacked.bytesWritten < given) throw new Error("more follows the first zstd frame; unpack it with zstd -dc");
}
