/** Identifiers: request ids, trace and span ids, instance ids. All of them are text outside this file, never a JS number. */
import { randomBytes } from "node:crypto";
import { v4, validate } from "uuid";

// What Dynamo's Uuid::parse_str accepts beyond RFC 9562: any version, and the spellings simple, braced and urn.
const hyphenated = "[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}";
const looseUuid = new RegExp(`^(?:(?:urn:uuid:)?${hyphenated}|\\{${hyphenated}\\}|[0-9a-f]{32})$`, "i");
const visibleAscii = /^[\x21-\x7e]{1,256}$/;

/** True for any spelling of a UUID that Dynamo accepts; the caller keeps the spelling. */
export function isUuid(text: string): boolean {
  return validate(text) || looseUuid.test(text);
}

/** True if a client's `x-request-id` may be kept and echoed: visible ASCII, 1 to 256 characters. */
export function isSaneClientId(text: string): boolean {
  return visibleAscii.test(text);
}

const maxShown = 128;

/** The warning about a request id, from a client or a frontend, that is no UUID: Dynamo's words, and the beginning of the value.
 *  It stands as it came if it is one plain word, else in quotes: it must not pass for facts of ours. */
export function describeBadRequestId(header: string, value: string): string {
  const shown = value.slice(0, maxShown);
  return `${header} header must be a valid UUID, got: ${/^[^\s"=]*$/.test(shown) ? shown : JSON.stringify(shown)}`;
}

/** A new request id, UUID v4. */
export function createRequestId(): string {
  return v4();
}

// Random bytes are drawn 4 KiB at a time: one system call for 256 span pairs. The pool is the one state a module of ours has: it is
// as invisible as that of randomUUID, and ids made from UUIDs cost three times as much.
function createHexSource(byteLength: number): () => string {
  let pool = Buffer.alloc(0);
  let offset = 0;
  return () => {
    for (;;) {
      if (offset + byteLength > pool.length) {
        pool = randomBytes(4096);
        offset = 0;
      }
      const hex = pool.toString("hex", offset, (offset += byteLength));
      if (!/^0+$/.test(hex)) return hex; // all-zero ids are invalid by the W3C standard
    }
  };
}

/** 32 lower-case hex characters, never all zero. */
export const createTraceId: () => string = createHexSource(16);
/** 16 lower-case hex characters, never all zero. */
export const createSpanId: () => string = createHexSource(8);

/** A random u64; Dynamo's file and memory backends draw theirs the same way (storage/kv/file.rs). */
export function createInstanceId(): bigint {
  for (;;) {
    const id = randomBytes(8).readBigUInt64BE();
    if (id !== 0n) return id;
  }
}

/** True for the decimal form of a u64 as records and lines have it. */
export function isInstanceId(text: string): boolean {
  return typeof text === "string" && /^(?:0|[1-9]\d{0,19})$/.test(text) && BigInt(text) < 2n ** 64n;
}

/** Lower-case hex without padding, as in record keys and endpoint paths. */
export function formatInstanceKey(id: bigint): string {
  return id.toString(16);
}

/** The decimal id of an instance key. */
export function parseInstanceKey(key: string): string {
  return BigInt(`0x${key}`).toString();
}
