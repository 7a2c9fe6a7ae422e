/** `dyn-frontend trace`: one id and some logs in, trees and a verdict out. */
import { realpathSync } from "node:fs";
import { RuntimeError, toRuntimeError } from "@dyn/runtime";
import { toRequestId } from "./request-ids.ts";
import { rebuildTrees } from "./rebuild.ts";
import { openStreamSource, toFileSource, type Source } from "./scan.ts";
import { searchLogs, type SearchResult } from "./search.ts";
import { plain } from "./terminal.ts";
import { drawTree } from "./timeline.ts";
import { isWhole, type RequestTree } from "./tree.ts";

export interface TraceOptions {
  /** A request id, client id, trace id, or the id of an answer's body. */
  readonly id: string;
  /** Paths; `-` is `input`. */
  readonly files: readonly string[];
  /** One JSON document per request instead of pictures. */
  readonly json: boolean;
  /** Most requests that are drawn, the latest ones. */
  readonly limit: number;
  readonly columns: number;
  readonly color: boolean;
  readonly input: AsyncIterable<Uint8Array>;
  readonly print: (text: string) => void;
  /** What is about the logs and not about a request. */
  readonly remark: (text: string) => void;
}

/** @returns true if every lineage is whole. @throws RuntimeError `invalid_argument` if the id is unknown or a file cannot be read. */
export async function traceRequests(options: TraceOptions): Promise<boolean> {
  const { files, limit, print, remark, json } = options;
  const id = toRequestId(options.id);
  if (id === "") throw new RuntimeError("invalid_argument", "the id is empty");
  const sources = await openSources(files, options.input);
  const found = await searchLogs({ id, sources, limit });
  if (found.requests.length === 0) throw new RuntimeError("invalid_argument", describeUnknown(id, sources.length, found));
  const chosen = new Set(found.requests.slice(-limit).map(({ requestId }) => requestId));
  const trees = rebuildTrees(found.lines, chosen);
  for (const text of describeSearch(found)) remark(text);
  if (json) for (const tree of trees) print(`${JSON.stringify(tree)}\n`);
  else print(drawAll(trees, found, options));
  return trees.every(isWhole);
}

async function openSources(files: readonly string[], input: AsyncIterable<Uint8Array>): Promise<Source[]> {
  const byPath = new Map<string, Source>();
  for (const file of files) {
    const path = file === "-" ? file : realPath(file);
    if (byPath.has(path)) continue; // a file named twice is read once
    byPath.set(path, file === "-" ? await openStreamSource("stdin", input) : toFileSource(file));
  }
  return [...byPath.values()];
}

function realPath(file: string): string {
  try {
    return realpathSync(file);
  } catch (cause) {
    throw new RuntimeError("invalid_argument", `cannot read ${file}: ${toRuntimeError(cause).message}`, { cause });
  }
}

function megabytes(bytes: number): string {
  return `${(bytes / 1e6).toFixed(1)} MB`;
}

function describeUnknown(id: string, sources: number, { bytes, broken }: SearchResult): string {
  const where = `${sources} ${sources === 1 ? "log" : "logs"} (${megabytes(bytes)})`;
  const lines = broken === 1 ? "1 line mentions it, but is" : `${broken} lines mention it, but are`;
  return `no JSON line in ${where} has the id ${plain(id)}${broken > 0 ? `; ${lines} no JSON (logs must be written with DYN_LOGGING_JSONL=1)` : ""}`;
}

function describeSearch({ broken, dropped, leftOut }: SearchResult): string[] {
  const remarks: [number, string][] = [
    [broken, "broken lines that mention the id were skipped"],
    [dropped, "lines could not be written by the processes themselves, as their logs say"],
    [leftOut, "further lines that only mention a request were left out"],
  ];
  return remarks.filter(([count]) => count > 0).map(([count, text]) => `${count} ${text}`);
}

const maxListed = 50;

function drawAll(trees: readonly RequestTree[], { requests }: SearchResult, options: TraceOptions): string {
  const pictures = trees.map((tree) => drawTree(tree, options));
  if (pictures.length === 1 && requests.length <= options.limit) return pictures[0] ?? "";
  const shown = requests.slice(-maxListed);
  const rows = shown.map(({ requestId, at }) => `  ${new Date(at).toISOString()}  ${plain(requestId)}`);
  const more = requests.length > shown.length ? [`  … and ${requests.length - shown.length} earlier ones`] : [];
  const drawn = requests.length > options.limit ? `, the latest ${options.limit} are drawn (--limit)` : "";
  const head = [`${requests.length} requests have this id${drawn}:`, ...more, ...rows].join("\n");
  const rule = "─".repeat(Math.max(60, options.columns));
  return [`${head}\n`, ...pictures].join(`${rule}\n`);
}
