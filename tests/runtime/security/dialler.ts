// A dialler by hand, that proves the token, or something else.
import { connect } from "node:net";
import { expect } from "vitest";
import { parseTokens, proveToken, type ProofInput, type Role } from "../../../packages/runtime/src/security/auth.ts";
import { frameTypes, preface } from "../../../packages/runtime/src/wire/frames.ts";
import { decodeHello, encodeAuth, encodeHello } from "../../../packages/runtime/src/wire/hello.ts";
import * as endings from "../../../packages/runtime/src/wire/endings.ts";
import { eventually } from "../../support/cluster.ts";
import { hello, rawPeer, type RawPeer } from "../peers.ts";
import type { Members } from "./members.ts";

export type Said = Omit<ProofInput, "role">;
export type Prove = (said: Said) => Buffer;

export function proveWith(secret: string, role: Role = "dialler"): Prove {
  return (said) => proveToken(parseTokens(secret)[0].proofKey, { role, ...said });
}

export function lastOf(peer: RawPeer): string {
  const last = peer.frames.at(-1);
  if (last?.type !== frameTypes.ERROR || last.id !== 0) return `type ${last?.type ?? "none"}`;
  const { code, message } = endings.decodeError(last.body);
  return `${code}: ${message}`;
}

// A dialler by hand: resolves with "open", or with what the listener says at its end.
export async function dial(
  { port, dialled }: Pick<Members, "port" | "dialled">,
  secret: string,
  prove: Prove = proveWith(secret),
): Promise<string> {
  using peer = rawPeer(connect(port, "127.0.0.1"), false);
  const diallerNonce = Buffer.alloc(32, 7);
  peer.send(
    (writer) => (
      writer.bytes(preface),
      encodeHello(writer, { ...hello, nonce: diallerNonce, proof_version: 2, dialled })
    ),
  );
  const greeting = await eventually("its HELLO", () => peer.frames.find(({ type }) => type === frameTypes.HELLO));
  const listenerNonce = decodeHello(greeting.body).nonce ?? Buffer.alloc(0);
  expect(peer.frames).toHaveLength(1); // nothing made from the token before ours
  const said = { dialled, diallerNonce, listenerNonce, channel: Buffer.alloc(0) };
  peer.send((writer) => encodeAuth(writer, prove(said)));
  await eventually("an answer", () => peer.frames.length > 1);
  const answer = peer.frames[1];
  if (answer?.type !== frameTypes.AUTH) return lastOf(peer);
  expect(answer.body.toString("hex")).toBe(proveWith(secret, "listener")(said).toString("hex"));
  return "open";
}
