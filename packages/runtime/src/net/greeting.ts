/** The first frames of a peer: HELLO, and AUTH where a proof is asked for. Until then it may say nothing else. */
import { RuntimeError } from "../errors.ts";
import type { Handshake } from "../security/auth.ts";
import { frameTypeName, frameTypes, type FrameType } from "../wire/frames.ts";
import { decodeHello, type Hello } from "../wire/hello.ts";

/** Of one connection. */
export class Greeting {
  readonly #handshake: Handshake;
  readonly #sendProof: (proof: Buffer) => void;
  #peer: Hello | undefined;

  constructor(handshake: Handshake, sendProof: (proof: Buffer) => void) {
    this.#handshake = handshake;
    this.#sendProof = sendProof;
  }

  /** What the peer has to send next. */
  get awaited(): "HELLO" | "AUTH" {
    return this.#peer ? "AUTH" : "HELLO";
  }

  /** A frame has come. @returns the peer once it has said all that is asked for. @throws RuntimeError `protocol` or `unauthenticated`. */
  take(type: FrameType, streamId: number, body: Buffer): Hello | undefined {
    const { awaited } = this;
    if (type !== frameTypes[awaited] || streamId !== 0)
      throw new RuntimeError(
        awaited === "AUTH" ? "unauthenticated" : "protocol",
        `${frameTypeName(type)} before ${awaited}`,
      );
    if (this.#peer) {
      this.#prove(this.#handshake.proved(body));
      return this.#peer;
    }
    this.#peer = decodeHello(body);
    this.#prove(this.#handshake.greeted(this.#peer));
    return this.#handshake.greeting ? undefined : this.#peer;
  }

  #prove(proof: Buffer | undefined): void {
    if (proof) this.#sendProof(proof);
  }
}
