/** Which lines belong to one request: those that share an id, directly or over other lines. As many steps as there are lines, whatever their ids are. */
import { compareTimes } from "../logs/times.ts";
import { isRequestLine, isWorkerLine, textOf, type LogLine } from "../logs/lines.ts";
import { namedSpans } from "./named-attempts.ts";

/** Spans above each other in one request: the worker's own requests may go on. */
const maxDepth = 32;

/** The lines of each request, by time. */
export function unite(lines: readonly LogLine[]): LogLine[][] {
  const sorted = [...lines].sort((left, right) => compareTimes(left.at, right.at));
  return joinByKeys(sorted).flatMap(splitBySpan);
}

// Lines belong together that share a request id or, whatever that says, a span: their own, or the one above in a neighbouring process.
function joinByKeys(lines: readonly LogLine[]): LogLine[][] {
  const requestSpans = new Set(lines.filter(isRequestLine).map((line) => textOf(line, "span_id")));
  const sets = createDisjointSets(lines.length);
  const firsts = new Map<string, number>();
  for (const [index, line] of lines.entries()) {
    for (const key of keysOf(line, requestSpans)) {
      const first = firsts.get(key);
      if (first === undefined) firsts.set(key, index);
      else sets.join(first, index);
    }
  }
  return [...Map.groupBy(lines, (_line, index) => sets.find(index)).values()];
}

interface DisjointSets {
  /** The same number for all members of a set. */
  find(member: number): number;
  join(left: number, right: number): void;
}

// Source: Tarjan and van Leeuwen, Worst-case Analysis of Set Union Algorithms (1984): path halving, and the larger set takes in the smaller.
function createDisjointSets(count: number): DisjointSets {
  const above = Array.from({ length: count }, (_, index) => index);
  const sizes = Array.from({ length: count }, () => 1);
  const find = (member: number): number => {
    let at = member;
    for (let next = above[at] ?? at; next !== at; next = above[at] ?? at) {
      above[at] = above[next] ?? next;
      at = above[at] ?? at;
    }
    return at;
  };
  return {
    find,
    join(left, right) {
      const [one, other] = [find(left), find(right)];
      if (one === other) return;
      const [small, large] = (sizes[one] ?? 1) < (sizes[other] ?? 1) ? [one, other] : [other, one];
      above[small] = large;
      sizes[large] = (sizes[large] ?? 1) + (sizes[small] ?? 1);
    },
  };
}

function keysOf(line: LogLine, requestSpans: ReadonlySet<string | undefined>): string[] {
  const [requestId, spanId, parentId] = [
    textOf(line, "request_id"),
    textOf(line, "span_id"),
    textOf(line, "parent_id"),
  ];
  const keys: string[] = [];
  if (requestId !== undefined) keys.push(`request ${requestId}`);
  if (spanId !== undefined) keys.push(`span ${spanId}`);
  // A worker's own request may have a new id: it is another request, although its span lies below.
  const isChild = isWorkerLine(line) || (line.event === "attempt ended" && requestSpans.has(parentId));
  if (isChild && parentId !== undefined) keys.push(`span ${parentId}`);
  for (const span of namedSpans(line)) keys.push(`span ${span}`);
  return keys.length > 0 ? keys : [`line ${line.place}`];
}

// A client may send one request id several times. Each "request received" with a span of its own is a request of its own.
function splitBySpan(lines: LogLine[]): LogLine[][] {
  const spans = new Set(
    lines.filter(({ event }) => event === "request received").map((line) => textOf(line, "span_id")),
  );
  if (spans.size < 2) return [lines];
  const parts = new Map<string | undefined, LogLine[]>([...spans].map((span) => [span, []]));
  const above = new Map(
    lines.filter((line) => line.event !== "other").map((line) => [textOf(line, "span_id"), textOf(line, "parent_id")]),
  );
  for (const line of lines) for (const span of namedSpans(line)) above.set(span, textOf(line, "span_id"));
  const [first] = spans;
  for (const line of lines) {
    let span = textOf(line, "span_id");
    for (let steps = 0; span !== undefined && !parts.has(span) && steps < maxDepth; steps += 1) span = above.get(span);
    parts.get(parts.has(span) ? span : first)?.push(line);
  }
  return [...parts.values()];
}
