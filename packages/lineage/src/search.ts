/** All lines of the requests an id stands for, in logs of any number of processes. Reads them twice: the first time to learn the other ids. */
import { RuntimeError } from "@dyn/runtime";
import { escapeHidden } from "@dyn/runtime/internal";
import { readText } from "./logs/line-fields.ts";
import { isWorkerLine, logOf, parseLine, textOf, type LogLine } from "./logs/lines.ts";
import { namedSpans } from "./grouping/named-attempts.ts";
import type { Source } from "./logs/packing.ts";
import { scanSource, type ScanResult } from "./logs/scan.ts";
import { toReadError } from "./logs/sources.ts";
import { compareTimes } from "./logs/times.ts";

/** One request that has the id. */
export interface FoundRequest {
  readonly requestId: string;
  /** Time of its first line, Unix time in ms. */
  readonly at: number;
}

/** What a log turned out to be. */
export interface Looked {
  readonly scan: ScanResult;
  /** Lines of the requests that were looked for. */
  readonly found: number;
}

export interface SearchResult {
  /** All requests with the id, the earliest first. */
  readonly requests: readonly FoundRequest[];
  /** Lines of the latest of them, as many as asked for. */
  readonly lines: readonly LogLine[];
  readonly looked: readonly Looked[];
  /** The logs in which the instances speak that were asked, by their ids. */
  readonly logsOf: ReadonlyMap<string, string>;
  /** Lines that mention the id but are no JSON. */
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
/** Of their texts. */
const maxLineChars = 256 * 1024 * 1024;
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
  const { candidates, scans, broken, dropped } = await learn(readText(id), sources);
  const requests = [...candidates.values()].sort((left, right) => compareTimes(left.at, right.at));
  const { lines, counts, leftOut } = await collect(requests.slice(-limit), sources);
  return {
    requests,
    lines,
    looked: scans.map((scan, index) => ({ scan, found: counts[index] ?? 0 })),
    logsOf: await findLogs(lines, sources),
    broken,
    dropped,
    leftOut,
  };
}

interface Learned extends Pick<SearchResult, "broken" | "dropped"> {
  readonly candidates: ReadonlyMap<string, Candidate>;
  readonly scans: readonly ScanResult[];
}

const dropNotice = "log lines dropped";

async function learn(id: string, sources: readonly Source[]): Promise<Learned> {
  const candidates = new Map<string, Candidate>();
  const scans: ScanResult[] = [];
  const ids = toNeedles([id]);
  let [broken, dropped] = [0, 0];
  for (const source of sources) {
    const scan = await read(source, [...ids, Buffer.from(dropNotice)], (text, place) => {
      const line = parseLine(text, place);
      if (!line) return void (broken += ids.some((needle) => text.includes(needle.toString())) ? 1 : 0);
      if (textOf(line, "message") === dropNotice && typeof line.fields["dropped_lines"] === "number")
        dropped += line.fields["dropped_lines"];
      if (["request_id", "x_request_id", "trace_id"].some((name) => textOf(line, name) === id))
        remember(line, candidates);
    });
    scans.push(scan);
  }
  return { candidates, scans, broken, dropped };
}

function remember(line: LogLine, candidates: Map<string, Candidate>): void {
  const requestId = textOf(line, "request_id");
  if (requestId === undefined) return; // other lines of its request have one
  const candidate = candidates.get(requestId) ?? { requestId, at: line.at, traceIds: new Set(), spans: new Set() };
  candidates.set(requestId, candidate);
  if (candidates.size > maxRequests)
    throw new RuntimeError("invalid_argument", `more than ${maxRequests} requests have this id`);
  if (!(candidate.at <= line.at)) candidate.at = line.at;
  const traceId = textOf(line, "trace_id");
  if (traceId !== undefined && candidate.traceIds.size < maxNeedles) candidate.traceIds.add(traceId);
  for (const span of [
    textOf(line, "span_id"),
    isChild(line) ? textOf(line, "parent_id") : undefined,
    ...namedSpans(line),
  ]) {
    if (span !== undefined && candidate.spans.size < maxSpans) candidate.spans.add(span);
  }
}

// A line whose parent is a span of the same request.
function isChild(line: LogLine): boolean {
  return isWorkerLine(line) || line.event === "attempt ended";
}

interface Collected extends Pick<SearchResult, "lines" | "leftOut"> {
  /** Of each source. */
  readonly counts: readonly number[];
}

async function collect(chosen: readonly Candidate[], sources: readonly Source[]): Promise<Collected> {
  const ids = new Set(chosen.map(({ requestId }) => requestId));
  const spans = new Set(chosen.flatMap(({ spans }) => [...spans]));
  const needles = toNeedles([...ids, ...chosen.flatMap(({ traceIds }) => [...traceIds])]);
  const lines: LogLine[] = [];
  const counts: number[] = [];
  let [others, leftOut, chars] = [0, 0, 0];
  for (const source of needles.length > 0 ? sources : []) {
    let count = 0;
    await read(source, needles, (text, place) => {
      const line = parseLine(text, place);
      if (!line || !isPartOf(line, ids, spans)) return; // what is broken was counted the first time
      count += 1;
      if (line.event === "other" && (others += 1) > maxOthers) return void (leftOut += 1);
      chars += line.chars;
      if (chars > maxLineChars)
        throw new RuntimeError("invalid_argument", "the lines that belong to this id hold more than 256 MiB of text");
      keep(line, lines);
    });
    counts.push(count);
  }
  return { lines, counts, leftOut };
}

const workerNames = ["worker_id", "prefill_worker_id", "decode_worker_id"] as const;

function isAnswered({ event, fields }: LogLine): boolean {
  return event === "request completed" || (event === "attempt ended" && fields["request.sent"] !== false);
}

// One more reading, if somebody was asked and says nothing of it: is the log missing, or only the line?
async function findLogs(lines: readonly LogLine[], sources: readonly Source[]): Promise<ReadonlyMap<string, string>> {
  const asked = new Set(
    lines.filter(isAnswered).flatMap((line) => workerNames.flatMap((name) => textOf(line, name) ?? [])),
  );
  const found = new Map<string, string>();
  const look = (line: LogLine | undefined, log: string): void => {
    const id = line && textOf(line, "instance_id");
    if (!line || id === undefined || !asked.has(id) || found.has(id)) return;
    if (isWorkerLine(line) || textOf(line, "message") === "endpoint is serving") found.set(id, log);
  };
  for (const line of lines) look(line, logOf(line));
  for (const source of sources) {
    const left = [...asked].filter((id) => !found.has(id)).slice(0, maxNeedles);
    if (left.length === 0) break;
    await read(source, toNeedles(left), (text, place) => {
      const isOpen = text.includes('"instance_id"') && left.some((id) => !found.has(id));
      if (isOpen) look(parseLine(text, place), source.name);
    });
  }
  return found;
}

// By its request id or, should that be wrong, by its span or the one above; though what a worker asks for itself may be another request: its lines are sorted out later.
function isPartOf(line: LogLine, ids: ReadonlySet<string>, spans: ReadonlySet<string>): boolean {
  const [requestId, spanId, parentId] = [
    textOf(line, "request_id"),
    textOf(line, "span_id"),
    textOf(line, "parent_id"),
  ];
  if (requestId !== undefined && ids.has(requestId)) return true;
  if (spanId !== undefined && spans.has(spanId)) return true;
  return isChild(line) && parentId !== undefined && spans.has(parentId);
}

function keep(line: LogLine, lines: LogLine[]): void {
  if (lines.length >= maxLines)
    throw new RuntimeError("invalid_argument", `more than ${maxLines} lines belong to this id`);
  lines.push(line);
}

// Each id as it stands between the quotes of a JSON text: as dyn writes it, and as others do.
function toNeedles(texts: readonly string[]): readonly Buffer[] {
  const known = [...new Set(texts)].filter((text) => text !== "").slice(0, maxNeedles);
  const written = known.map((text) => JSON.stringify(text).slice(1, -1));
  return [...new Set([...written, ...written.map(escapeHidden)])].map((text) => Buffer.from(text));
}

async function read(
  source: Source,
  needles: readonly Buffer[],
  onLine: (line: string, place: string) => void,
): Promise<ScanResult> {
  try {
    return await scanSource(source, { needles, onLine });
  } catch (cause) {
    throw toReadError(source.name, cause);
  }
}
