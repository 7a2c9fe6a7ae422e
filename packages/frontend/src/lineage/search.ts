/** All lines of the requests an id stands for, in files of any number of processes. Reads files twice: the first time to learn the other ids. */
import { RuntimeError, toRuntimeError } from "@dyn/runtime";
import { isWorkerLine } from "./group.ts";
import { parseLine, textOf, type LogLine } from "./lines.ts";
import { scanSource, type Source } from "./scan.ts";

/** One request that has the id. */
export interface FoundRequest {
  readonly requestId: string;
  /** Time of its first line, Unix time in ms. */
  readonly at: number;
}

export interface SearchResult {
  /** All requests with the id, the earliest first. */
  readonly requests: readonly FoundRequest[];
  /** Lines of the latest of them, as many as asked for. */
  readonly lines: readonly LogLine[];
  readonly bytes: number;
  /** Lines that mention the id but are no JSON, or too long to be read. */
  readonly broken: number;
  /** Lines that processes themselves say they could not write. */
  readonly dropped: number;
  /** Lines that only mention a request and were too many to keep. */
  readonly leftOut: number;
}

export interface SearchOptions {
  /** A request id, client id or trace id. */
  readonly id: string;
  readonly sources: readonly Source[];
  /** Most requests whose lines are collected. */
  readonly limit: number;
}

const maxRequests = 10_000;
const maxLines = 100_000;
const maxOthers = 10_000;
const maxSpans = 1_000;
/** Each needle is one more search through all bytes. */
const maxNeedles = 64;

interface Candidate {
  readonly requestId: string;
  at: number;
  readonly traceIds: Set<string>;
  readonly spans: Set<string>;
}

/** Search `sources` for `id`. @throws RuntimeError `invalid_argument` if a source cannot be read or far too much matches. */
export async function searchLogs({ id, sources, limit }: SearchOptions): Promise<SearchResult> {
  const first = await learn(id, sources);
  const requests = [...first.candidates.values()].sort((left, right) => left.at - right.at);
  const chosen = requests.slice(-limit);
  const collected = await collect(chosen, sources, first.kept);
  return { requests, ...first.counts, ...collected };
}

interface Learned {
  readonly candidates: ReadonlyMap<string, Candidate>;
  /** What may belong to it from sources that can be read only once. */
  readonly kept: readonly LogLine[];
  readonly counts: Pick<SearchResult, "bytes" | "broken" | "dropped">;
}

const dropNotice = "log lines dropped";

async function learn(id: string, sources: readonly Source[]): Promise<Learned> {
  const candidates = new Map<string, Candidate>();
  const kept: LogLine[] = [];
  const counts = { bytes: 0, broken: 0, dropped: 0 };
  for (const source of sources) {
    const known = createNeedles([id, dropNotice]);
    const { bytes, tooLong } = await read(source, known.list, (text, place) => {
      const line = parseLine(text, place);
      if (!line) return void (counts.broken += 1);
      if (textOf(line, "message") === dropNotice) counts.dropped += Number(line.fields["dropped_lines"] ?? 0);
      const isMatch = [textOf(line, "request_id"), textOf(line, "x_request_id"), textOf(line, "trace_id")].includes(id);
      if (isMatch) remember(line, candidates);
      if (source.isRepeatable) return;
      // Read only once: what shares an id with a line seen before may be part of it.
      if (isMatch) known.add(textOf(line, "request_id"), textOf(line, "trace_id"));
      keep(line, kept);
    });
    counts.bytes += bytes;
    counts.broken += tooLong;
  }
  return { candidates, kept, counts };
}

function remember(line: LogLine, candidates: Map<string, Candidate>): void {
  const requestId = textOf(line, "request_id");
  if (requestId === undefined) return; // other lines of its request have one
  const candidate = candidates.get(requestId) ?? { requestId, at: line.at, traceIds: new Set(), spans: new Set() };
  candidates.set(requestId, candidate);
  if (candidates.size > maxRequests) throw new RuntimeError("invalid_argument", `more than ${maxRequests} requests have this id`);
  if (!(candidate.at <= line.at)) candidate.at = line.at;
  const traceId = textOf(line, "trace_id");
  if (traceId !== undefined && candidate.traceIds.size < maxNeedles) candidate.traceIds.add(traceId);
  for (const span of [textOf(line, "span_id"), isChild(line) ? textOf(line, "parent_id") : undefined]) {
    if (span !== undefined && candidate.spans.size < maxSpans) candidate.spans.add(span);
  }
}

// A line whose parent is a span of the same request.
function isChild(line: LogLine): boolean {
  return isWorkerLine(line) || line.event === "attempt ended";
}

async function collect(
  chosen: readonly Candidate[],
  sources: readonly Source[],
  kept: readonly LogLine[],
): Promise<Pick<SearchResult, "lines" | "leftOut">> {
  const ids = new Set(chosen.map(({ requestId }) => requestId));
  const spans = new Set(chosen.flatMap(({ spans }) => [...spans]));
  const needles = createNeedles([...ids, ...chosen.flatMap(({ traceIds }) => [...traceIds])]);
  const lines: LogLine[] = [];
  let others = 0;
  let leftOut = 0;
  const accept = (line: LogLine): void => {
    if (!isPartOf(line, ids, spans)) return;
    if (line.event === "other" && (others += 1) > maxOthers) leftOut += 1;
    else keep(line, lines);
  };
  for (const line of kept) accept(line);
  for (const source of sources) {
    if (!source.isRepeatable) continue;
    await read(source, needles.list, (text, place) => {
      const line = parseLine(text, place);
      if (line) accept(line); // what is broken was counted the first time
    });
  }
  return { lines, leftOut };
}

// By its request id or, should that be wrong, by its span or the one above; though what a worker asks for itself may be another request: its lines are sorted out later.
function isPartOf(line: LogLine, ids: ReadonlySet<string>, spans: ReadonlySet<string>): boolean {
  const [requestId, spanId, parentId] = [textOf(line, "request_id"), textOf(line, "span_id"), textOf(line, "parent_id")];
  if (requestId !== undefined && ids.has(requestId)) return true;
  if (spanId !== undefined && spans.has(spanId)) return true;
  return isChild(line) && parentId !== undefined && spans.has(parentId);
}

function keep(line: LogLine, lines: LogLine[]): void {
  if (lines.length >= maxLines) throw new RuntimeError("invalid_argument", `more than ${maxLines} lines belong to this id`);
  lines.push(line);
}

interface Needles {
  readonly list: readonly Buffer[];
  add(...texts: (string | undefined)[]): void;
}

// An id as it stands between the quotes of a JSON text.
function createNeedles(texts: readonly string[]): Needles {
  const list: Buffer[] = [];
  const known = new Set<string>();
  const add = (...more: (string | undefined)[]): void => {
    for (const text of more) {
      if (text === undefined || text === "" || known.has(text) || known.size >= maxNeedles) continue;
      known.add(text);
      list.push(Buffer.from(JSON.stringify(text).slice(1, -1)));
    }
  };
  add(...texts);
  return { list, add };
}

async function read(source: Source, needles: readonly Buffer[], onLine: (line: string, place: string) => void): ReturnType<typeof scanSource> {
  try {
    return await scanSource(source, { needles, onLine });
  } catch (cause) {
    if (cause instanceof RuntimeError) throw cause;
    throw new RuntimeError("invalid_argument", `cannot read ${source.name}: ${toRuntimeError(cause).message}`, { cause });
  }
}
