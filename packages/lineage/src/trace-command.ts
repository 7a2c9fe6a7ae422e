/** `dyn-frontend trace`: one id and some logs in, trees and a verdict out. */
import { RuntimeError } from "@dyn/runtime";
import { countOf, escapeHidden } from "@dyn/runtime/internal";
import { toRequestId } from "./request-ids.ts";
import { rebuildTrees } from "./rebuild.ts";
import { searchLogs, type Looked, type SearchResult } from "./search.ts";
import type { ScanResult } from "./logs/scan.ts";
import { openSources } from "./logs/sources.ts";
import { drawTree } from "./show/timeline.ts";
import { cut, isWhole, type RequestTree } from "./tree.ts";

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

/** @returns true if every lineage that was looked at is whole. @throws RuntimeError `invalid_argument` if the id is unknown or a log cannot be read. */
export async function traceRequests(options: TraceOptions): Promise<boolean> {
  const { files, limit, print, json } = options;
  const remark = (text: string): void => options.remark(escapeHidden(text));
  const id = toRequestId(options.id);
  if (id === "") throw new RuntimeError("invalid_argument", "the id is empty");
  await using sources = await openSources(files, options.input);
  const found = await searchLogs({ id, sources: sources.list, limit });
  for (const text of [
    ...found.looked.map((log) => describeLooked(log, found.requests.length)),
    ...describeSearch(found, limit),
  ])
    remark(text);
  const chosen = new Set(found.requests.slice(-limit).map(({ requestId }) => requestId));
  const { trees, skipped } = rebuildTrees(found.lines, chosen, {
    limit,
    logs: found.looked.length,
    logsOf: found.logsOf,
  });
  if (skipped > 0)
    remark(
      `${countOf(skipped, "earlier request with the same request id was", "earlier requests with the same request id were")} not looked at (--limit)`,
    );
  // Nothing that was looked at is wrong if nothing was looked at: that is no verdict.
  if (trees.length === 0) throw new RuntimeError("invalid_argument", describeUnknown(id, found));
  if (json) for (const tree of trees) print(`${escapeHidden(JSON.stringify(tree))}\n`);
  else print(drawAll(trees, found, options));
  return trees.every(isWhole);
}

function describeLooked({ scan, found }: Looked, requests: number): string {
  const { source, bytes, lines, dynLines, isTorn, omitted, tooLong } = scan;
  const parts = [
    describeForm(scan, found),
    ...(bytes > 0
      ? [
          countOf(lines, "line"),
          `${dynLines} of dyn`,
          `${found} of ${requests > 1 ? "these requests" : "this request"}`,
        ]
      : []),
    ...(omitted > 0 ? [`${countOf(omitted, "long message")} left out by journalctl (--all keeps them)`] : []),
    ...(tooLong > 0 ? [`${countOf(tooLong, "line")} longer than 16 MiB not read`] : []),
    ...((isTorn && dynLines > 0) || source.isCut ? ["its end is missing"] : []),
  ];
  return `${source.name}: ${parts.join(", ")}`;
}

function describeForm({ source: { packing }, bytes, dynLines, forms, isBinary }: ScanResult, found: number): string {
  if (bytes === 0) return packing === undefined ? "empty" : `${packing}, empty`;
  // Lines that somebody has written anew, with their keys in another order, are found, though not known as ours.
  const form = forms.size > 0 ? [...forms].join(" and ") : found > 0 ? "JSON" : isBinary ? "binary" : "text";
  const named = packing === undefined ? form : `${packing} of ${form}`;
  return dynLines === 0 && found === 0 ? `${named}, no JSONL of dyn (DYN_LOGGING_JSONL=1)` : named;
}

function describeBytes(bytes: number): string {
  return bytes < 100_000 ? countOf(bytes, "byte") : `${(bytes / 1e6).toFixed(1)} MB`;
}

function describeUnknown(id: string, { looked, broken }: SearchResult): string {
  const bytes = looked.reduce((sum, { scan }) => sum + scan.bytes, 0);
  const lines = countOf(broken, "line mentions it, but is", "lines mention it, but are");
  const hint = broken > 0 ? `; ${lines} no JSON (logs must be written with DYN_LOGGING_JSONL=1)` : "";
  return `no JSON line in ${countOf(looked.length, "log")} (${describeBytes(bytes)}) has the id ${cut(id)}${hint}`;
}

function describeSearch({ requests, broken, dropped, leftOut }: SearchResult, limit: number): string[] {
  const remarks: [count: number, one: string, many: string][] = [
    [broken, "broken line that mentions the id was skipped", "broken lines that mention the id were skipped"],
    [
      dropped,
      "line could not be written by the processes themselves, as their logs say",
      "lines could not be written by the processes themselves, as their logs say",
    ],
    [
      leftOut,
      "further line that only mentions a request was left out",
      "further lines that only mention a request were left out",
    ],
  ];
  const skipped = requests.length - limit;
  const texts = remarks.filter(([count]) => count > 0).map((remark) => countOf(...remark));
  return skipped > 0
    ? [
        ...texts,
        `${countOf(skipped, "earlier request has this id and was", "earlier requests have this id and were")} not looked at (--limit)`,
      ]
    : texts;
}

const maxListed = 50;

function drawAll(trees: readonly RequestTree[], { requests }: SearchResult, options: TraceOptions): string {
  const pictures = trees.map((tree) => drawTree(tree, options));
  if (pictures.length === 1 && requests.length <= options.limit) return pictures[0] ?? "";
  const shown = requests.slice(-maxListed);
  const rows = shown.map(
    ({ requestId, at }) =>
      `  ${Number.isNaN(at) ? "?".padEnd(24) : new Date(at).toISOString()}  ${escapeHidden(cut(requestId))}`,
  );
  const more =
    requests.length > shown.length ? [`  … and ${countOf(requests.length - shown.length, "earlier one")}`] : [];
  const drawn =
    requests.length > options.limit ? `, the latest ${countOf(options.limit, "is", "are")} drawn (--limit)` : "";
  const head = [`${countOf(requests.length, "request has", "requests have")} this id${drawn}:`, ...more, ...rows].join(
    "\n",
  );
  const rule = "─".repeat(Math.max(60, options.columns));
  return [`${head}\n`, ...pictures].join(`${rule}\n`);
}
