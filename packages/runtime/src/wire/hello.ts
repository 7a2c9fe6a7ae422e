/** The first frames in both directions. HELLO: who speaks, and what it takes; AUTH: the proof of the shared token. Layouts: docs/wire-format.md. */
import { RuntimeError } from "../errors.ts";
import { excerpt } from "../excerpt.ts";
import type { FrameWriter } from "./frame-writer.ts";
import { frameTypes, maxHelloBytes } from "./frames.ts";
import { decodeMap, encodeOwn } from "./payload.ts";

/** Version of the proof. The first one did not say whom it was meant for, so it could be passed on. */
export const proofVersion = 2;
/** Size of the nonce in HELLO. */
export const nonceBytes = 32;
/** Size of the proof in AUTH. */
export const proofBytes = 32;
/** Longest `dialled` in HELLO, characters: an id, and a host of 255. */
const maxDialledLength = 300;

/** What HELLO says. */
export interface Hello {
  readonly version: 1;
  /** Decimal u64 of the process that listens; a dialler has none. */
  readonly instance_id?: string;
  readonly agent: string;
  readonly capabilities: readonly string[];
  /** Largest frame body the sender of this HELLO accepts, at least 4096: so much is enough for all frames but REQUEST and ITEMS. */
  readonly max_frame_bytes: number;
  /** Most streams the sender of this HELLO lets its peer have open at a time. */
  readonly max_streams: number;
  /** 32 random bytes: the sender asks for a proof of the shared token, and offers one. */
  readonly nonce?: Uint8Array;
  /** Which proof is meant. One that does not say it beside its nonce means the first. */
  readonly proof_version?: number;
  /** Of a dialler that proves: whom it means to reach, `<decimal instance id>@tcp://host:port`, or `tls` in place of `tcp`. */
  readonly dialled?: string;
}

/** Layout: a msgpack map. */
export function encodeHello(writer: FrameWriter, hello: Hello): void {
  writer.begin(frameTypes.HELLO, 0);
  writer.bytes(encodeOwn(hello));
  writer.end();
}

/** @throws RuntimeError `protocol` naming what is missing or wrong. */
export function decodeHello(body: Buffer): Hello {
  const map = decodeMap(body, "HELLO");
  const { version, agent, capabilities, instance_id, max_frame_bytes, max_streams } = map;
  if (version !== 1)
    throw new RuntimeError(
      "protocol",
      `HELLO has version ${typeof version === "number" ? version : typeof version}, expected 1`,
    );
  if (!isPositiveU32(max_frame_bytes) || !isPositiveU32(max_streams))
    throw new RuntimeError("protocol", "HELLO lacks max_frame_bytes or max_streams");
  if (max_frame_bytes < maxHelloBytes)
    throw new RuntimeError(
      "protocol",
      `HELLO has max_frame_bytes ${max_frame_bytes}, expected at least ${maxHelloBytes}`,
    );
  if (instance_id !== undefined && !isDecimalU64(instance_id))
    throw new RuntimeError("protocol", "HELLO has an instance_id that is no decimal u64");
  return {
    version,
    agent: typeof agent === "string" ? excerpt(agent, 128) : "unknown",
    capabilities: Array.isArray(capabilities)
      ? capabilities.filter((name): name is string => typeof name === "string")
      : [],
    ...(instance_id !== undefined && { instance_id }),
    max_frame_bytes,
    max_streams,
    ...toProving(map),
  };
}

// What it says about the proof, if one is asked for.
function toProving({
  nonce,
  proof_version,
  dialled,
}: Readonly<Record<string, unknown>>): Pick<Hello, "nonce" | "proof_version" | "dialled"> {
  if (nonce !== undefined && !(nonce instanceof Uint8Array && nonce.length === nonceBytes))
    throw new RuntimeError("protocol", `HELLO has a nonce that is not ${nonceBytes} bytes`);
  if (proof_version !== undefined && !isPositiveU32(proof_version))
    throw new RuntimeError("protocol", "HELLO has a proof_version that is no number");
  if (dialled !== undefined && !isDialled(dialled))
    throw new RuntimeError("protocol", `HELLO has a dialled that is not 1 to ${maxDialledLength} characters`);
  return {
    ...(nonce !== undefined && { nonce: Buffer.from(nonce) }), // a copy: it outlives its chunk
    ...(proof_version !== undefined && { proof_version }),
    ...(dialled !== undefined && { dialled }),
  };
}

function isPositiveU32(value: unknown): value is number {
  return typeof value === "number" && Number.isInteger(value) && value > 0 && value <= 0xffff_ffff;
}

function isDecimalU64(value: unknown): value is string {
  return typeof value === "string" && /^\d{1,20}$/.test(value) && BigInt(value) < 2n ** 64n;
}

function isDialled(value: unknown): value is string {
  return typeof value === "string" && value.length >= 1 && value.length <= maxDialledLength;
}

/** Layout: 32 bytes, the proof. */
export function encodeAuth(writer: FrameWriter, proof: Uint8Array): void {
  writer.begin(frameTypes.AUTH, 0);
  writer.bytes(proof);
  writer.end();
}
