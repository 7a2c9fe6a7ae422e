/** Why a server cannot listen, in words that say what to do. */
import { RuntimeError } from "./errors.ts";

/** `setting`: flag and variable of the port, such as `--http-port or DYN_HTTP_PORT`. @returns RuntimeError `unavailable`. */
export function toListenError(cause: unknown, address: string, setting: string): RuntimeError {
  const isTaken = cause instanceof Error && "code" in cause && cause.code === "EADDRINUSE";
  const advice = isTaken ? `; choose another port with ${setting}` : "";
  const words = cause instanceof Error ? cause.message : String(cause);
  const publicMessage = "the server cannot listen";
  return new RuntimeError("unavailable", `cannot listen on ${address}: ${words}${advice}`, { cause, publicMessage });
}
