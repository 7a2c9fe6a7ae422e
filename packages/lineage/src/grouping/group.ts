/** Sorts log lines into requests, attempts and workers, by their ids alone: one wrong id must not hide a line. */
import { placeWorkers, type PlacedWorkers } from "./homes.ts";
import { isRequestLine, textOf, type LogLine } from "../logs/lines.ts";
import { nameAttempts } from "./named-attempts.ts";
import { compareTimes } from "../logs/times.ts";
import { unite } from "./unite.ts";

/** Lines of one request, by time. */
export interface OwnLines {
  readonly requestId: string;
  readonly lines: readonly LogLine[];
}

/** Lines of one request, and of those who worked on it. */
export interface RequestLines extends PlacedWorkers {
  readonly requestId: string;
  readonly request: readonly LogLine[];
  /** Lines that only mention the request. */
  readonly others: readonly LogLine[];
}

/** Sort `lines`, in any order, into requests, the earliest first. Only those with one of the ids `wanted` are kept. */
export function groupLines(lines: readonly LogLine[], wanted: ReadonlySet<string>): OwnLines[] {
  const groups = unite(lines).flatMap((group) => {
    const requestId = mostCommon(
      group.flatMap((line) => textOf(line, "request_id") ?? []).filter((id) => wanted.has(id)),
    );
    return requestId === undefined ? [] : { requestId, lines: group };
  });
  return groups.sort((left, right) => compareTimes(startOf(left), startOf(right)));
}

function startOf({ lines }: OwnLines): number {
  return lines[0]?.at ?? Number.NaN;
}

/** Sort the lines of one request into its attempts and workers. */
export function sortLines({ requestId, lines }: OwnLines): RequestLines {
  const ended = lines.filter(({ event }) => event === "attempt ended");
  const bySpan = Map.groupBy(ended, (line) => textOf(line, "span_id"));
  const written = [...bySpan.values()].map((own) => ({ fields: (own[0] as LogLine).fields, lines: own })); // a group has a line
  const named = nameAttempts(
    lines,
    written.map(({ fields }) => fields),
  );
  return {
    requestId,
    request: lines.filter(isRequestLine),
    ...placeWorkers(lines, [...written, ...named.map((fields) => ({ fields, lines: [] }))]),
    others: lines.filter(({ event }) => event === "other"),
  };
}

/** The value most lines have; of two equally common ones the first. Absence is a value, too. */
export function mostCommon<Value>(values: readonly Value[]): Value | undefined {
  const counts = new Map<Value, number>();
  for (const value of values) counts.set(value, (counts.get(value) ?? 0) + 1);
  return [...counts].reduce<[Value, number] | undefined>(
    (best, entry) => (best && best[1] >= entry[1] ? best : entry),
    undefined,
  )?.[0];
}
