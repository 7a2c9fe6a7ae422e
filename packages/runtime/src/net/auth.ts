/** How both ends of a connection prove that they know the shared token, without showing it. Bytes: docs/wire-format.md. */
import { createHmac, randomBytes, timingSafeEqual } from "node:crypto";
import { RuntimeError } from "../errors.ts";
import { nonceBytes, proofBytes } from "../wire/proof.ts";

export type Role = "dialler" | "listener";

/** Tokens in use. The first one proves who we are, any of them is accepted from a dialler: so one can replace another without a gap. */
export type Tokens = readonly [string, ...string[]];

const minTokenChars = 16;
const maxTokens = 8;

/** One token a line; empty lines and lines that begin with # do not count. @throws Error that says which line is wrong, and not what it holds. */
export function parseTokens(text: string): Tokens {
  const lines = text.split("\n").map((line, index) => ({ token: line.trim(), number: index + 1 }));
  const filled = lines.filter(({ token }) => token !== "" && !token.startsWith("#"));
  for (const { token, number } of filled) {
    if (!isToken(token)) throw new Error(`line ${number}: expected at least ${minTokenChars} characters of visible ASCII`);
  }
  const [first, ...rest] = filled.map(({ token }) => token);
  if (first === undefined) throw new Error("it holds no token");
  if (rest.length >= maxTokens) throw new Error(`it holds ${rest.length + 1} tokens, at most ${maxTokens} are taken`);
  return [first, ...rest];
}

function isToken(text: string): boolean {
  return text.length >= minTokenChars && /^[\x21-\x7e]*$/.test(text);
}

export interface ProofInput {
  /** Whose proof it is: one side's cannot be sent back as the other's. */
  readonly role: Role;
  readonly diallerNonce: Uint8Array;
  readonly listenerNonce: Uint8Array;
}

/** HMAC-SHA256 with the token as key, over `dyn/1 `, the role, and both nonces. */
export function proveToken(token: string, { role, diallerNonce, listenerNonce }: ProofInput): Buffer {
  return createHmac("sha256", token).update(`dyn/1 ${role}`).update(diallerNonce).update(listenerNonce).digest();
}

/** One connection's part in the proof. The dialler proves first: a listener shows nothing made from the token to a stranger. */
export interface Handshake {
  /** For our HELLO; undefined without a token. */
  readonly nonce: Uint8Array | undefined;
  /** The peer's HELLO has come. @returns the proof to send now, if it is our turn. @throws RuntimeError `unauthenticated`. */
  greeted(peerNonce: Uint8Array | undefined): Buffer | undefined;
  /** The peer's proof has come. @returns the proof to answer with, if it is our turn. @throws RuntimeError `unauthenticated`. */
  proved(proof: Uint8Array): Buffer | undefined;
}

/** Begin one. Without tokens it only notices a peer that has one. */
export function beginHandshake(role: Role, tokens: Tokens | undefined): Handshake {
  if (!tokens) return strangerHandshake;
  const nonce = randomBytes(nonceBytes);
  let peer: Uint8Array | undefined;
  const prove = (token: string, who: Role): Buffer => {
    const theirs = peer ?? Buffer.alloc(nonceBytes);
    return proveToken(token, { role: who, ...(role === "dialler" ? sides(nonce, theirs) : sides(theirs, nonce)) });
  };
  return {
    nonce,
    greeted(peerNonce) {
      if (!peerNonce) throw new RuntimeError("unauthenticated", `the ${otherOf(role)} offers no proof of the plane token`);
      peer = peerNonce;
      return role === "dialler" ? prove(tokens[0], role) : undefined;
    },
    proved(proof) {
      // A listener answers with the token that it was shown to know; a dialler takes only the one it has used.
      const accepted = role === "dialler" ? tokens.slice(0, 1) : tokens;
      const known = accepted.find((token) => isSame(proof, prove(token, otherOf(role))));
      if (known === undefined) throw new RuntimeError("unauthenticated", `the ${otherOf(role)} has another plane token`);
      return role === "listener" ? prove(known, role) : undefined;
    },
  };
}

const strangerHandshake: Handshake = {
  nonce: undefined,
  greeted(peerNonce) {
    if (peerNonce) throw new RuntimeError("unauthenticated", "the peer asks for a plane token, and none is set here");
    return undefined;
  },
  proved() {
    throw new RuntimeError("protocol", "AUTH, which nobody asked for");
  },
};

function sides(diallerNonce: Uint8Array, listenerNonce: Uint8Array): Omit<ProofInput, "role"> {
  return { diallerNonce, listenerNonce };
}

function otherOf(role: Role): Role {
  return role === "dialler" ? "listener" : "dialler";
}

function isSame(given: Uint8Array, expected: Buffer): boolean {
  return given.length === proofBytes && timingSafeEqual(given, expected);
}
