/** Draws a tree for people at a terminal: who it is, bars on a common time axis, and what is wrong. */
import { countOf, escapeHidden } from "@dyn/runtime/internal";
import { toRows, type Row } from "./rows.ts";
import { createPaint, fit, formatMs, wrap, type Margins, type Paint, type Style } from "../terminal.ts";
import { isWhole, walkAttempts, type LogSources, type Problem, type RequestNode, type RequestTree } from "../tree.ts";

export interface DrawOptions {
  /** Width of the terminal, at least 60 are used. */
  readonly columns: number;
  readonly color: boolean;
}

/** Draw `tree`, several lines that end with a newline. */
export function drawTree(tree: RequestTree, { columns, color }: DrawOptions): string {
  const paint = createPaint(color);
  const width = Math.max(60, columns);
  const rows = toRows(tree);
  const picture = rows.length > 0 ? ["", ...drawRows(rows, width, paint)] : [];
  const margins = { width, left: 15 };
  const remarks = [...drawErrors(tree, margins, paint), ...drawNotices(tree.log, margins, paint)];
  const lines = [
    ...drawHead(tree, width, paint),
    ...picture,
    "",
    ...remarks,
    ...(remarks.length > 0 ? [""] : []),
    ...drawProblems(tree, margins, paint),
  ];
  return `${lines.join("\n")}\n`;
}

function drawHead(tree: RequestTree, width: number, paint: Paint): string[] {
  const { request } = tree;
  const entry = (name: string, text: string): string[] =>
    wrap(text, name, { width, left: 11 }, (head) => paint("dim", head));
  const lines = entry("request", paint("bold", escapeHidden(tree.request_id)));
  if (tree.x_request_id !== undefined) lines.push(...entry("client id", escapeHidden(tree.x_request_id)));
  if (tree.trace_id !== undefined) lines.push(...entry("trace", escapeHidden(tree.trace_id)));
  if (!request) return lines;
  const { method = "", uri = "", model, model_requested: requested, request_type: type } = request;
  const what = [`${method} ${uri}`.trim(), requested === undefined ? model : `${requested} (unknown model)`, type];
  lines.push(...entry("asked", escapeHidden(what.filter((text) => text !== undefined && text !== "").join(", "))));
  if (request.received_at !== undefined) lines.push(...entry("received", escapeHidden(request.received_at)));
  lines.push(...entry("ended", describeEnd(tree, paint)));
  if (request.facts) lines.push(...entry("reported", escapeHidden(describeFacts(request.facts))));
  const { error_type: errorType, error = "" } = request;
  if (tree.state === "completed" && errorType !== undefined)
    lines.push(...entry("", escapeHidden(`${errorType}: ${error.split("\n", 1)[0] ?? ""}`)));
  return lines;
}

function describeFacts(facts: NonNullable<RequestNode["facts"]>): string {
  return Object.entries(facts)
    .map(([name, value]) => `${name} ${value}`)
    .join(", ");
}

function describeEnd({ request = {}, state }: RequestTree, paint: Paint): string {
  if (state !== "completed") return paint("yellow", state === "running" ? "still running" : "unknown");
  const { status = "unknown", elapsed_ms: elapsed, ttft_ms: first, avg_itl_ms: between } = request;
  const { finish_reason: reason = "stop" } = request; // what every answer ends with is not worth a word
  const parts = [
    paint(styleOf(status), escapeHidden(status)) + (elapsed === undefined ? "" : ` after ${formatMs(elapsed)}`),
    ...(request.input_tokens === undefined ? [] : [`${countOf(request.input_tokens, "token")} in`]),
    ...(request.output_tokens === undefined ? [] : [`${request.output_tokens} out`]),
    ...(first === undefined ? [] : [`first after ${formatMs(first)}`]),
    ...(between === undefined ? [] : [`then one every ${formatMs(between)}`]),
    ...(reason === "stop" ? [] : [escapeHidden(`ended with ${reason}`)]),
  ];
  return parts.join(", ");
}

function styleOf(outcome: string): Style {
  if (outcome === "success") return "green";
  return ["cancelled", "unknown", "running"].includes(outcome) ? "yellow" : "red";
}

interface Columns {
  readonly label: number;
  readonly bar: number;
  readonly duration: number;
  readonly outcome: number;
  readonly hasRemarks: boolean;
}

const minBar = 10;
/** Remarks, the last column, are left out where bars would be shorter than this. */
const goodBar = 20;
const maxOutcome = 24;

function measure(rows: readonly Row[], width: number): Columns {
  const longest = (text: (row: Row) => string): number =>
    rows.reduce((most, row) => Math.max(most, text(row).length), 0);
  const [duration, remark] = [longest(showDuration), longest(({ remark }) => escapeHidden(remark))];
  const outcome = longest(showOutcome);
  const wanted = longest(({ label }) => escapeHidden(label));
  const free = width - duration - outcome - 6;
  const hasRemarks = remark > 0 && free - wanted - remark - 2 >= goodBar;
  const rest = free - (hasRemarks ? remark + 2 : 0);
  const label = Math.max(4, Math.min(wanted, Math.floor(width * 0.42), rest - minBar));
  return { label, bar: Math.max(minBar, rest - label), duration, outcome, hasRemarks };
}

function showOutcome({ outcome }: Row): string {
  const text = escapeHidden(outcome);
  return text.length > maxOutcome ? fit(text, maxOutcome) : text;
}

function showDuration({ durationMs, endMs }: Row): string {
  if (durationMs === undefined) return endMs === undefined ? "?" : "-";
  return formatMs(durationMs);
}

/** Most rows of a picture: the first ones and the last ones. */
const maxRows = 200;

function drawRows(all: readonly Row[], width: number, paint: Paint): string[] {
  const left = all.length - maxRows;
  const rows = left > 0 ? [...all.slice(0, maxRows / 2), ...all.slice(-maxRows / 2)] : all;
  const columns = measure(rows, width);
  const totalMs = rows.reduce(
    (most, { startMs, endMs, horizonMs }) => Math.max(most, endMs ?? horizonMs ?? startMs),
    0.001,
  );
  const axis = `${" ".repeat(columns.label + 2)}${drawAxis(totalMs, columns.bar)}`;
  const drawn = rows.map((row) => {
    const style = styleOf(row.outcome);
    const cells = [
      fit(escapeHidden(row.label), columns.label),
      paint(style, drawBar(row, totalMs, columns.bar)),
      showDuration(row).padStart(columns.duration),
    ];
    const outcome = showOutcome(row);
    if (!columns.hasRemarks || row.remark === "") return [...cells, paint(style, outcome)].join("  ");
    return [...cells, paint(style, outcome.padEnd(columns.outcome)), paint("dim", escapeHidden(row.remark))].join("  ");
  });
  if (left > 0)
    drawn.splice(
      maxRows / 2,
      0,
      paint("yellow", `… ${countOf(left, "row is", "rows are")} not drawn (--json has all)`),
    );
  return [paint("dim", axis), ...drawn];
}

function drawAxis(totalMs: number, width: number): string {
  const [middle, end] = [formatMs(totalMs / 2), formatMs(totalMs)];
  const half = Math.floor((width - middle.length) / 2);
  const right = width - half - middle.length;
  return half < 6 || right < end.length + 2
    ? `0${end.padStart(width - 1)}`
    : `${"0".padEnd(half)}${middle}${end.padStart(right)}`;
}

// ░ until the first token, █ from it on, or all the way without one; ╌ and ? where nobody knows.
function drawBar({ startMs, endMs, horizonMs, firstMs }: Row, totalMs: number, width: number): string {
  const cell = (ms: number): number => Math.min(width, Math.max(0, Math.round((ms / totalMs) * width)));
  const start = Math.min(cell(startMs), width - 1);
  const end = Math.max(start + 1, cell(endMs ?? horizonMs ?? totalMs));
  const first = firstMs === undefined ? start : Math.min(end - 1, Math.max(start, cell(startMs + firstMs)));
  const body =
    endMs === undefined ? `${"╌".repeat(end - start - 1)}?` : "░".repeat(first - start) + "█".repeat(end - first);
  return `${" ".repeat(start)}${body}${" ".repeat(width - end)}`;
}

// Why attempts and workers did not go well, in their own words.
function drawErrors({ attempts, strays }: RequestTree, margins: Margins, paint: Paint): string[] {
  const errors: { head: string; text: string }[] = [];
  const describe = (head: string, errorType: string | undefined, error: string | undefined): void => {
    const [first = ""] = (error ?? "").split("\n", 1);
    if (first !== "") errors.push({ head, text: `${errorType ?? "error"}: ${first}` });
  };
  for (const { attempt = "?", error_type, error, workers } of walkAttempts(attempts)) {
    describe(`attempt ${attempt}`, error_type, error);
    for (const worker of workers) if (worker.error !== error) describe("its worker", worker.error_type, worker.error);
  }
  for (const worker of strays) describe("worker", worker.error_type, worker.error);
  return drawFirst(errors, ({ head, text }) =>
    wrap(escapeHidden(text), head, margins, (head) => paint("yellow", head)),
  );
}

/** Most errors, and most problems of one kind. */
const maxRemarks = 50;

function drawFirst<Item>(items: readonly Item[], draw: (item: Item) => string[]): string[] {
  const lines = items.slice(0, maxRemarks).flatMap(draw);
  return items.length > maxRemarks ? [...lines, `… and ${items.length - maxRemarks} more (--json has all)`] : lines;
}

function drawNotices(log: LogSources | undefined, margins: Margins, paint: Paint): string[] {
  return (log?.notices ?? []).flatMap(({ level, target, message, place }) => {
    const style = level === "ERROR" ? "red" : "yellow";
    return wrap(escapeHidden(`${target}: ${message} (${place})`), escapeHidden(level.toLowerCase()), margins, (head) =>
      paint(style, head),
    );
  });
}

function drawProblems(tree: RequestTree, margins: Margins, paint: Paint): string[] {
  const { problems, log } = tree;
  const order: readonly Problem["kind"][] = ["contradiction", "missing", "note"];
  const draw = ({ kind, message }: Problem): string[] =>
    wrap(escapeHidden(message), kind, margins, (head) => paint(kind === "note" ? "yellow" : "red", head));
  const lines = order.flatMap((kind) =>
    drawFirst(
      problems.filter((problem) => problem.kind === kind),
      draw,
    ),
  );
  const verdict = isWhole(tree) ? paint("green", "✓ the lineage is whole") : paint("red", "✗ the lineage is not whole");
  const sources = log ? paint("dim", describeSources(log)) : "";
  return [...lines, ...(lines.length > 0 ? [""] : []), ...wrap(verdict + sources, "", { ...margins, left: 0 }, String)];
}

function describeSources({ lines, files, other_lines: others }: LogSources): string {
  const more = others > 0 ? `, ${others} more ${others === 1 ? "mentions" : "mention"} it` : "";
  return ` (${countOf(lines, "line")} of ${countOf(files.length, "log")}${more})`;
}
