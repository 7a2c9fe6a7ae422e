/** From log lines to trees: the lines of each request become its nodes, and what does not fit is said. */
import { formatTime } from "@dyn/runtime/internal";
import { checkLines, type Origin } from "./checks/lines.ts";
import { checkTree } from "./checks/tree.ts";
import { groupLines, mostCommon, sortLines, type RequestLines } from "./grouping/group.ts";
import type { AttemptLines, WorkerLines } from "./grouping/homes.ts";
import { isSerious, logOf, textOf, type LineEvent, type LogLine } from "./logs/lines.ts";
import { toReported } from "./logs/reported.ts";
import { orderAttempts } from "./grouping/named-attempts.ts";
import { createNest } from "./grouping/nest.ts";
import { compareTimes } from "./logs/times.ts";
import {
  cut,
  toAttemptFacts,
  toRequestFacts,
  toWorkerFacts,
  type AttemptNode,
  type LogSources,
  type RequestNode,
  type RequestTree,
  type WorkerNode,
} from "./tree.ts";

export interface RebuildOptions extends Omit<Origin, "copies"> {
  /** Most trees, those of the latest requests. Default all. */
  readonly limit?: number;
}

export interface RebuiltTrees {
  /** One per request, the earliest first. */
  readonly trees: readonly RequestTree[];
  /** Requests that are earlier than those. */
  readonly skipped: number;
}

/** The requests with one of the ids `wanted`. Lines may come in any order and from any number of processes. */
export function rebuildTrees(
  lines: readonly LogLine[],
  wanted: ReadonlySet<string>,
  { limit = Number.POSITIVE_INFINITY, ...origin }: RebuildOptions = {},
): RebuiltTrees {
  const copies = Map.groupBy(lines, ({ digest }) => digest);
  const unique = [...copies.values()].flatMap(([line]) => line ?? []);
  const groups = groupLines(unique, wanted);
  const skipped = Math.max(0, groups.length - limit);
  const trees = groups.slice(skipped).map((own) => {
    const group = sortLines(own);
    const tree = toTree(group);
    return Object.assign(tree, { problems: [...checkLines(group, { ...origin, copies }), ...checkTree(tree)] });
  });
  return { trees, skipped };
}

function toTree(group: RequestLines): Omit<RequestTree, "problems"> {
  const all = [
    ...group.request,
    ...group.attempts.flatMap(({ lines }) => lines),
    ...group.others,
    ...workersOf(group).flatMap(({ lines }) => lines),
  ];
  const [xRequestId, traceId] = ["x_request_id", "trace_id"].map((name) =>
    mostCommon(all.map((line) => textOf(line, name))),
  );
  const request = group.request.length > 0 ? toRequestNode(group.request) : undefined;
  return {
    request_id: cut(group.requestId),
    ...(xRequestId !== undefined && { x_request_id: cut(xRequestId) }),
    ...(traceId !== undefined && { trace_id: cut(traceId) }),
    state: group.request.some(({ event }) => event === "request completed") ? "completed" : "unknown",
    ...(request && { request }),
    ...arrange(group, request),
    log: toSources(all, group.others),
  };
}

// Every attempt and every worker in its place.
function arrange(group: RequestLines, request: RequestNode | undefined): Pick<RequestTree, "attempts" | "strays"> {
  const written = group.attempts.filter(({ lines }) => lines.length > 0).map(toPlaced);
  const named = group.attempts.filter(({ lines }) => lines.length === 0).map((attempt) => toPlaced(attempt).node);
  const nodes = written.sort((left, right) => compareTimes(startOf(left), startOf(right))).map(({ node }) => node);
  const strays = group.strays.map(toWorkerNode);
  const nest = createNest(nodes, [...[...nodes, ...named].flatMap(({ workers }) => workers), ...strays]);
  const attempts = orderAttempts(nest.outer, named, request).map(nest.fillAttempt);
  const filled = strays.map(nest.fillWorker);
  return { attempts: [...attempts, ...nest.rest()], strays: filled };
}

const maxNotices = 10;

function toSources(all: readonly LogLine[], others: readonly LogLine[]): LogSources {
  const text = (line: LogLine, name: string): string => cut(textOf(line, name) ?? "");
  return {
    lines: all.length - others.length,
    other_lines: others.length,
    files: [...new Set(all.map(logOf))],
    notices: others
      .filter(isSerious)
      .slice(0, maxNotices)
      .map((line) => ({
        time: text(line, "time"),
        level: text(line, "level"),
        target: text(line, "target"),
        message: text(line, "message"),
        place: line.place,
      })),
  };
}

function workersOf({ attempts, strays }: RequestLines): WorkerLines[] {
  return [...attempts.flatMap(({ workers }) => workers), ...strays];
}

function startOf({ node, at }: { node: AttemptNode; at: number }): number {
  return at - (node.elapsed_ms ?? 0);
}

interface Placed {
  readonly node: AttemptNode;
  readonly at: number;
}

function timeOf(lines: readonly LogLine[], event: LineEvent): string | undefined {
  const time = lines.find((line) => line.event === event)?.fields["time"];
  return typeof time === "string" ? time : undefined;
}

// Later lines know more; spans are what most lines say.
function mergeFields(lines: readonly LogLine[]): Record<string, unknown> {
  const merged: Record<string, unknown> = {};
  for (const { fields } of lines) Object.assign(merged, fields);
  for (const name of ["span_id", "parent_id", "instance_id"])
    merged[name] = mostCommon(lines.map((line) => textOf(line, name)));
  return merged;
}

function defined<Value extends object>(value: { readonly [Name in keyof Value]: Value[Name] | undefined }): Value {
  return Object.fromEntries(Object.entries(value).filter(([, inner]) => inner !== undefined)) as Value; // what was undefined is absent now
}

function toRequestNode(lines: readonly LogLine[]): RequestNode {
  const completed = lines.find(({ event }) => event === "request completed");
  const finished = lines.find(({ event }) => event === "stream finished");
  const httpStatus = lines.find(({ event }) => event === "response sent")?.fields["status"];
  const merged = mergeFields(lines);
  return {
    ...toRequestFacts(merged),
    ...toReported(merged),
    ...defined<RequestNode>({
      received_at: timeOf(lines, "request received"),
      responded_at: timeOf(lines, "response sent"),
      finished_at: timeOf(lines, "stream finished"),
      ended_at: timeOf(lines, "request completed"),
      outcome: finished && textOf(finished, "outcome"),
      http_status: typeof httpStatus === "number" ? httpStatus : undefined,
      status: completed && textOf(completed, "status"),
    }),
  };
}

function toPlaced(attempt: AttemptLines): Placed {
  const { fields, lines, workers } = attempt;
  const at = lines[0]?.at ?? Number.NaN;
  const facts = toAttemptFacts(fields);
  const number = fields["request.attempt"];
  const node: AttemptNode = {
    ...facts,
    ...defined<Partial<AttemptNode>>({
      attempt: typeof number === "number" ? number : undefined,
      started_at: facts.elapsed_ms !== undefined && Number.isFinite(at) ? formatTime(at - facts.elapsed_ms) : undefined,
      ended_at: textOf(attempt, "time"),
      outcome: textOf(attempt, "request.outcome"),
      error_type: textOf(attempt, "error.type"),
    }),
    sent: fields["request.sent"] !== false,
    workers: workers.map(toWorkerNode),
  };
  return { node, at };
}

function toWorkerNode({ lines }: WorkerLines): WorkerNode {
  const merged = mergeFields(lines);
  const completed = lines.find(({ event }) => event === "worker completed");
  const refused = lines.find(({ event }) => event === "worker refused");
  const errorType = refused && textOf(refused, "error.type");
  return {
    ...toWorkerFacts(merged),
    ...defined<Partial<WorkerNode>>({
      received_at: timeOf(lines, "worker received") ?? timeOf(lines, "worker refused"),
      ended_at: timeOf(lines, "worker completed"),
      status: refused ? "refused" : completed && textOf(completed, "status"),
      ...(errorType !== undefined && { error_type: errorType }),
    }),
  };
}
