/** Frames of the proof of the shared token. Layouts: docs/wire-format.md. */
import type { FrameWriter } from "./frame-writer.ts";
import { frameTypes } from "./frames.ts";

/** Version of the proof. The first one did not say whom it was meant for, so it could be passed on. */
export const proofVersion = 2;
/** Size of the nonce in HELLO. */
export const nonceBytes = 32;
/** Size of the proof in AUTH. */
export const proofBytes = 32;
/** Longest `dialled` in HELLO, characters: an id, and a host of 255. */
export const maxDialledLength = 300;

/** Layout: 32 bytes, the proof. */
export function encodeAuth(writer: FrameWriter, proof: Uint8Array): void {
  writer.begin(frameTypes.AUTH, 0);
  writer.bytes(proof);
  writer.end();
}
