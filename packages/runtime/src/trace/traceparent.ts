/** W3C Trace Context headers, level 2: https://www.w3.org/TR/trace-context-2/ */
import { excerpt } from "../excerpt.ts";
import { createSpanId, createTraceId } from "../ids.ts";
import { acceptTracestate } from "./tracestate.ts";

/** A position in a trace: the span that is current, the one it came from, and what travels with them. */
export interface TraceContext {
  readonly traceId: string;
  readonly spanId: string;
  readonly parentId?: string;
  /** 8 bits: 1 = sampled, 2 = random trace id; the others are zero, as the standard demands of bits it does not know. */
  readonly flags: number;
  readonly tracestate?: string;
}

const sampled = 0x01;
const random = 0x02;
// A comma stands between the values of a header that was sent twice, so that none is in what a later version adds.
const shape = /^[ \t]*([0-9a-f]{2})-([0-9a-f]{32})-([0-9a-f]{16})-([0-9a-f]{2})(?:(-[^,]*)|[ \t]*)$/;
const zeros = /^0+$/;

/** @returns the remote position, or undefined if the header must be ignored (bad shape, sent twice, version ff, zero ids, extra parts in version 00). */
export function parseTraceparent(header: string): Pick<TraceContext, "traceId" | "spanId" | "flags"> | undefined {
  const match = shape.exec(header);
  if (!match) return undefined;
  const [, version, traceId = "", spanId = "", flags = "00", rest] = match;
  if (version === "ff" || (version === "00" && rest !== undefined)) return undefined;
  if (zeros.test(traceId) || zeros.test(spanId)) return undefined;
  // Copies: they are kept for longer than the header, which later versions may make as long as they like.
  return { traceId: excerpt(traceId), spanId: excerpt(spanId), flags: Number.parseInt(flags, 16) & (sampled | random) };
}

/** The header of version 00. */
export function formatTraceparent({ traceId, spanId, flags }: TraceContext): string {
  return `00-${traceId}-${spanId}-${flags < 16 ? "0" : ""}${flags.toString(16)}`;
}

/** True if whoever began the trace wants it recorded. */
export function isSampled({ flags }: Pick<TraceContext, "flags">): boolean {
  return (flags & sampled) !== 0;
}

/** Open the server's own span: below the remote one if there is a usable header, else at the root of a new trace, without `tracestate`.
 *  A header sent several times is given as its values joined by commas, as Node joins them. */
export function acceptTrace(traceparent: string | undefined, tracestate?: string): TraceContext {
  const remote = traceparent === undefined ? undefined : parseTraceparent(traceparent);
  if (!remote) return { traceId: createTraceId(), spanId: createSpanId(), flags: sampled | random };
  const state = tracestate === undefined ? undefined : acceptTracestate(tracestate);
  return {
    traceId: remote.traceId,
    spanId: createSpanId(),
    parentId: remote.spanId,
    flags: remote.flags,
    ...(state !== undefined && { tracestate: state }),
  };
}

/** A span below `parent` in the same trace. */
export function childSpan(parent: TraceContext): TraceContext {
  return { ...parent, spanId: createSpanId(), parentId: parent.spanId };
}
