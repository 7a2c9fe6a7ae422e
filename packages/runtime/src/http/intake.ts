/** What a request brings: its body, read and decoded within the limits, and the memory for it, taken before it is there. */
import type { IncomingMessage } from "node:http";
import { RuntimeError } from "../errors.ts";
import { toRuntimeError } from "../thrown.ts";
import { requestFactor } from "../memory-budget.ts";
import { createContentDecoder, type BodyLimit, type Coding } from "./content-coding.ts";
import type { Exchange } from "./exchange.ts";
import { readBody, reservedBytes, statedBytes } from "./read-body.ts";
import type { RouteEntry } from "./route.ts";

/** Memory for what has come of an answer and is not read, and for what is known of its request. */
const answerBytes = 64 * 1024;

export interface IntakeOptions {
  readonly maxBodyBytes: number;
  /** What sets it, for answers. */
  readonly bodySetting?: string;
  /** How long a body in a coding may take to be decoded once it is there, ms. */
  readonly decodeTimeoutMs: number;
  /** How long a request may take in all, as it says itself, ms. Default: no such limit. */
  readonly timeoutOf?: (request: IncomingMessage) => number;
  /** Monotonic clock, ms. */
  readonly now: () => number;
}

export interface Intake {
  readonly limit: BodyLimit;
  /** Take memory for a large body and for an answer, before the body is read. @returns why it cannot be had. */
  reserve(exchange: Exchange, route: RouteEntry): RuntimeError | undefined;
  /** @throws as `readBody`; `overloaded` if a small body, or one without `content-length`, grows beyond the memory that is left. */
  read(exchange: Exchange): Promise<Buffer>;
  /** @throws as the decoder; `deadline_exceeded` if it takes too long, waiting included. */
  decode(exchange: Exchange, body: Buffer, codings: readonly Coding[]): Promise<Buffer>;
}

export function createIntake(options: IntakeOptions): Intake {
  const { maxBodyBytes: maxBytes, bodySetting: setting, decodeTimeoutMs, timeoutOf, now } = options;
  const limit: BodyLimit = { maxBytes, ...(setting !== undefined && { setting }) };
  const decoder = createContentDecoder();
  const limitFor = ({ memory }: Exchange): BodyLimit => ({
    ...limit,
    onGrow: (bytes) => memory.take(requestFactor * bytes),
  });
  return {
    limit,
    reserve({ request, memory }, route) {
      if (!route.takes || statedBytes(request) > maxBytes) return undefined; // `read` says so
      try {
        memory.take(requestFactor * reservedBytes(request) + (route.kind === "inference" ? answerBytes : 0));
      } catch (error) {
        return toRuntimeError(error);
      }
      return undefined;
    },
    read: (exchange) => readBody(exchange.request, limitFor(exchange)),
    decode(exchange, body, codings) {
      const { abort, startedAt, request, signal } = exchange;
      const own = timeoutOf?.(request) ?? Number.POSITIVE_INFINITY;
      const ms = Math.max(1, own < decodeTimeoutMs ? own - (now() - startedAt) : decodeTimeoutMs);
      const late = new RuntimeError("deadline_exceeded", `the request body was not decoded within ${Math.ceil(ms)} ms`);
      const timer = setTimeout(() => abort(late), ms);
      return decoder.decode(body, codings, limitFor(exchange), signal).finally(() => clearTimeout(timer));
    },
  };
}
