/** How both ends of a connection prove that they know the shared token, without showing it. Bytes: docs/wire-format.md. */
import { createHmac, createSecretKey, hkdfSync, randomBytes, timingSafeEqual, type KeyObject } from "node:crypto";
import type { Socket } from "node:net";
import { TLSSocket } from "node:tls";
import { RuntimeError } from "../errors.ts";
import { nonceBytes, proofBytes, proofVersion, type Hello } from "../wire/hello.ts";

/** Which end of a connection. */
export type Role = "dialler" | "listener";

/** What is made from one token; the token itself is not kept. One key for each purpose, so that nothing made with one says anything about the other. */
export interface Token {
  readonly proofKey: KeyObject;
  readonly recordKey: KeyObject;
}

/** Tokens in use. The first one proves who we are, any of them is accepted from a dialler: so one can replace another without a gap. */
export type Tokens = readonly [Token, ...Token[]];

const minTokenChars = 16;
const maxTokens = 8;

/** One token a line; empty lines and lines that begin with # do not count. @throws Error that says which line is wrong, and not what it holds. */
export function parseTokens(text: string): Tokens {
  const lines = text.split("\n").map((line, index) => ({ token: line.trim(), number: index + 1 }));
  const filled = lines.filter(({ token }) => token !== "" && !token.startsWith("#"));
  for (const { token, number } of filled) {
    if (!isToken(token))
      throw new Error(`line ${number}: expected at least ${minTokenChars} characters of visible ASCII`);
  }
  const [first, ...rest] = filled.map(({ token }) => toToken(token));
  if (first === undefined) throw new Error("it holds no token");
  if (rest.length >= maxTokens) throw new Error(`it holds ${rest.length + 1} tokens, at most ${maxTokens} are taken`);
  return [first, ...rest];
}

function isToken(text: string): boolean {
  return text.length >= minTokenChars && /^[\x21-\x7e]*$/.test(text);
}

function toToken(token: string): Token {
  const derive = (purpose: string): KeyObject =>
    createSecretKey(Buffer.from(hkdfSync("sha256", token, "", purpose, 32)));
  return { proofKey: derive(`dyn/1 proof ${proofVersion}`), recordKey: derive("dyn/1 record 1") };
}

/** What a proof is about. */
export interface ProofInput {
  /** Whose proof it is: one side's cannot be sent back as the other's. */
  readonly role: Role;
  /** Whom the dialler means to reach, as its HELLO says. */
  readonly dialled: string;
  readonly diallerNonce: Uint8Array;
  readonly listenerNonce: Uint8Array;
  /** What only the two ends of one TLS connection know; empty without TLS. */
  readonly channel: Uint8Array;
}

/** HMAC-SHA256 over `dyn/1 proof 2 `, the role, a line feed, whom the dialler means to reach, a line feed, both nonces, and the channel. */
export function proveToken(
  key: KeyObject,
  { role, dialled, diallerNonce, listenerNonce, channel }: ProofInput,
): Buffer {
  const begin = `dyn/1 proof ${proofVersion} ${role}\n${dialled}\n`;
  return createHmac("sha256", key).update(begin).update(diallerNonce).update(listenerNonce).update(channel).digest();
}

/** What an end of a connection needs to ask its peer for a proof, and to give its own. */
export type Guard =
  /** `dialled`: the instance that it means to reach, and where: `Instance.key`. */
  | { readonly role: "dialler"; readonly tokens: Tokens; readonly dialled: string }
  /** `isAnnounced`: whether this process has said of itself that it is reached there, as that instance. */
  | { readonly role: "listener"; readonly tokens: Tokens; readonly isAnnounced: (dialled: string) => boolean };

type Greeting = Pick<Hello, "nonce" | "proof_version" | "dialled">;

/** One connection's part in the proof. The dialler proves first: a listener shows nothing made from the token to a stranger. */
export interface Handshake {
  /** For our HELLO; undefined without a token. */
  readonly greeting: Greeting | undefined;
  /** The peer's HELLO has come. @returns the proof to send now, if it is our turn. @throws RuntimeError `unauthenticated`. */
  greeted(peer: Greeting): Buffer | undefined;
  /** The peer's proof has come. @returns the proof to answer with, if it is our turn. @throws RuntimeError `unauthenticated`. */
  proved(proof: Uint8Array): Buffer | undefined;
}

/** Begin one on this socket, whose TLS has been set up if it has any. Without a guard it only notices a peer that has one. */
export function beginHandshake(guard: Guard | undefined, socket: Socket): Handshake {
  if (!guard) return strangerHandshake;
  const { role, tokens } = guard;
  const other = role === "dialler" ? "listener" : "dialler";
  const nonce = randomBytes(nonceBytes);
  let said: Omit<ProofInput, "role"> | undefined;
  const prove = ({ proofKey }: Token, who: Role): Buffer => {
    if (!said) throw new RuntimeError("protocol", "AUTH before HELLO");
    return proveToken(proofKey, { role: who, ...said });
  };
  return {
    greeting: { nonce, proof_version: proofVersion, ...(guard.role === "dialler" && { dialled: guard.dialled }) },
    greeted(peer) {
      const theirs = checkGreeting(peer, role, other);
      const dialled = guard.role === "dialler" ? guard.dialled : checkDialled(peer.dialled, guard);
      const [diallerNonce, listenerNonce] = role === "dialler" ? [nonce, theirs] : [theirs, nonce];
      said = { dialled, diallerNonce, listenerNonce, channel: readChannel(socket) };
      return role === "dialler" ? prove(tokens[0], role) : undefined;
    },
    proved(proof) {
      // A listener answers with the token that it was shown to know; a dialler takes only the one it has used.
      const accepted = role === "dialler" ? tokens.slice(0, 1) : tokens;
      const known = accepted.find((token) => isSame(proof, prove(token, other)));
      if (known === undefined)
        throw new RuntimeError("unauthenticated", `the ${other} has another plane token, or somebody is in between`);
      return role === "listener" ? prove(known, role) : undefined;
    },
  };
}

const strangerHandshake: Handshake = {
  greeting: undefined,
  greeted({ nonce }) {
    if (nonce)
      throw new RuntimeError(
        "unauthenticated",
        "the peer asks for a plane token, and none is set here: set --plane-token-file",
      );
    return undefined;
  },
  proved() {
    throw new RuntimeError("protocol", "AUTH, which nobody asked for");
  },
};

// What version 1 proved is true of whoever passes on what others say: it is not taken any more.
function checkGreeting({ nonce, proof_version: version = 1 }: Greeting, role: Role, other: Role): Uint8Array {
  if (!nonce)
    throw new RuntimeError("unauthenticated", `the ${other} shows no plane token: set --plane-token-file there, too`);
  if (version === proofVersion) return nonce;
  const advice = `the ${role} version ${proofVersion}: upgrade the ${version < proofVersion ? other : role}`;
  throw new RuntimeError("unauthenticated", `the ${other} speaks proof version ${version}, ${advice}`);
}

function checkDialled(dialled: string | undefined, { isAnnounced }: Extract<Guard, { role: "listener" }>): string {
  if (dialled !== undefined && isAnnounced(dialled)) return dialled;
  const reason = "which this process has not announced: the record is old or was changed, or somebody is in between";
  throw new RuntimeError("unauthenticated", `the dialler means to reach ${dialled ?? "nobody"}, ${reason}`);
}

// RFC 9266: the channel of TLS 1.3. Whoever ends TLS in between has another one on each side.
function readChannel(socket: Socket): Uint8Array {
  return socket instanceof TLSSocket
    ? socket.exportKeyingMaterial(32, "EXPORTER-Channel-Binding", Buffer.alloc(0))
    : Buffer.alloc(0);
}

function isSame(given: Uint8Array, expected: Buffer): boolean {
  return given.length === proofBytes && timingSafeEqual(given, expected);
}
