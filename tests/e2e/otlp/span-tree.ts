/** What tests of spans share: a client's trace, a worker that makes spans, the tree of what arrived, its ids beside those of the lines. */
import { randomBytes } from "node:crypto";
import { join } from "node:path";
import { expect } from "vitest";
import {
  eventually,
  lineOf,
  root,
  startProgram,
  type Cluster,
  type Line,
  type Program,
} from "../../support/cluster.ts";
import type { Protocol, ReceivedSpan, Receiver } from "./receiver.ts";

export const protocols: readonly Protocol[] = ["grpc", "http/protobuf"];

/** What one request is when all goes well. */
export const wholeTree: readonly string[] = [
  "http-request",
  "  router.route_request",
  "    handle_payload",
  "      engine.generate",
];

/** The span of the client in `newTrace`. */
export const clientSpan = "00f067aa0ba902b7";

/** A client's own trace, and the headers that say so. */
export function newTrace(flags = "01"): { traceId: string; headers: Record<string, string> } {
  const traceId = randomBytes(16).toString("hex");
  return {
    traceId,
    headers: {
      traceparent: `00-${traceId}-${clientSpan}-${flags}`,
      tracestate: "vendor=1",
      "x-request-id": "order-4711",
    },
  };
}

/** Start the worker of tests/e2e/otlp/worker.ts in the cluster; it serves the model `spanner`. */
export async function startSpanner(cluster: Cluster, env: Record<string, string>): Promise<Program> {
  const spanner = startProgram("node", [join(root, "tests/e2e/otlp/worker.ts")], {
    ...env,
    DYN_FILE_KV: cluster.directory,
  });
  await lineOf(cluster.frontend, "instance joined", { model: "spanner" });
  return spanner;
}

/** End programs as an operator does; each must end well. */
export async function terminate(...programs: readonly Program[]): Promise<void> {
  for (const program of programs) {
    program.kill("SIGTERM");
    expect(await program.exited).toBe(0);
  }
}

/** The names of a trace's spans as a tree, two blanks per floor, in the order of their start. */
export function draw(spans: readonly ReceivedSpan[]): string[] {
  const ids = new Set(spans.map(({ spanId }) => spanId));
  const below = (above: string, depth: number): string[] =>
    spans.flatMap(({ name, spanId, parentId }) =>
      parentId === above ? [`${"  ".repeat(depth)}${name}`, ...below(spanId, depth + 1)] : [],
    );
  const roots = new Set(spans.filter(({ parentId }) => !ids.has(parentId)).map(({ parentId }) => parentId));
  return [...roots].flatMap((root) => below(root, 0));
}

/** The spans of a trace, once `count` have come. */
export function spansOf(receiver: Receiver, traceId: string, count: number): Promise<ReceivedSpan[]> {
  const ofTrace = (): ReceivedSpan[] => receiver.spans().filter((span) => span.traceId === traceId);
  return eventually(`${count} spans of ${traceId}`, () => {
    const found = ofTrace();
    return found.length >= count && found;
  }).catch((error: unknown) => {
    throw new Error(`${(error as Error).message}; there are:\n${draw(ofTrace()).join("\n")}`, { cause: error });
  });
}

/** The only span of that name. */
export function only(spans: readonly ReceivedSpan[], name: string): ReceivedSpan {
  const [span, ...others] = spans.filter((each) => each.name === name);
  if (!span || others.length > 0) throw new Error(`${others.length + (span ? 1 : 0)} spans are called ${name}`);
  return span;
}

/** The ids on the line are those of the span. */
export function expectSameIds(span: ReceivedSpan, line: Line): void {
  expect({
    span_name: line["span_name"],
    trace_id: line["trace_id"],
    span_id: line["span_id"],
    parent_id: line["parent_id"] ?? "",
    trace_flags: line["trace_flags"],
    tracestate: line["tracestate"] ?? "",
    request_id: line["request_id"],
    x_request_id: line["x_request_id"],
  }).toEqual({
    span_name: span.name,
    trace_id: span.traceId,
    span_id: span.spanId,
    parent_id: span.parentId,
    trace_flags: (span.flags & 0xff).toString(16).padStart(2, "0"),
    tracestate: span.traceState,
    request_id: span.attributes["request_id"],
    x_request_id: span.attributes["x_request_id"],
  });
}
