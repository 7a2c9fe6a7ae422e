/** What is kept of a request that is over: one small record, of which a tree is made when somebody asks. Nothing of it is long, and nothing else is kept alive by it. */
import type { AttemptReport, Fields, Identity, RuntimeError } from "@dyn/runtime";
import { toPublicMessage } from "@dyn/runtime/internal";
import { cut } from "./tree.ts";

/** What is needed of an identity. */
type Ids = Pick<Identity, "requestId" | "xRequestId"> & {
  readonly trace: Pick<Identity["trace"], "traceId" | "spanId" | "parentId">;
};

/** What is known of a request from its beginning. */
export interface ObservedStart {
  readonly identity: Ids;
  /** Whose it is; undefined = nobody's in particular. */
  readonly owner: string | undefined;
  readonly method: string | undefined;
  readonly uri: string | undefined;
  readonly endpoint: string;
  readonly requestType: string;
  readonly startedAt: number;
}

/** A request as whoever serves it keeps it: read when it is over, and while it runs by those who ask. Times are readings of the history's clock, ms. */
export interface ObservedRequest {
  readonly start: ObservedStart;
  readonly model: string;
  /** The name the client asked for, if it is none that is served. */
  readonly modelRequested: string | undefined;
  /** Its headers went out. */
  readonly respondedAt: number | undefined;
  readonly httpStatus: number | undefined;
  /** Undefined while it runs. */
  readonly endedAt: number | undefined;
  readonly failure: RuntimeError | undefined;
  /** What routers did for it, in the order they were asked: a prefill worker's first. The lists may still grow. */
  readonly answers: readonly { readonly reports: readonly Readonly<AttemptReport>[] }[];
  /** Facts of its last line, as they are now: numbers, and texts that are short and slices of nothing. Held as they are. */
  readonly facts: Fields;
}

export interface KeptRequest extends ObservedStart, Omit<ObservedRequest, "start" | "failure" | "answers"> {
  /** Unix time minus the clock at its beginning: all its times go by it, so they are in order if the system's clock is set meanwhile. */
  readonly clockOffset: number;
  readonly error: KeptError | undefined;
  readonly attempts: readonly KeptAttempt[];
}

export interface KeptAttempt extends Omit<AttemptReport, "failure" | "trailer"> {
  readonly errorType: string | undefined;
  readonly error: KeptError | undefined;
  readonly worker: KeptWorker | undefined;
}

/** What the worker said at the end. */
interface KeptWorker {
  readonly spanId: string;
  readonly items: number | undefined;
  readonly elapsedMs: number | undefined;
  readonly ttftMs: number | undefined;
  /** What it saw, if that is not what was sent. */
  readonly seen: SeenIdentity | undefined;
}

/** What went wrong, in the words of the log and in those for clients. */
export interface KeptError {
  readonly message: string;
  readonly publicMessage: string;
}

type SeenIdentity = NonNullable<AttemptReport["trailer"]["seen"]>;

/** Most attempts of one request that are kept. */
const maxAttempts = 16;

/** Copy what is kept. `before` is the record before it, whose texts are used again where they are the same. Name by name: "all the others" costs several times as much. */
export function keepRequest(
  request: ObservedRequest,
  clockOffset: number,
  before: KeptRequest | undefined,
): KeptRequest {
  const { start } = request;
  return {
    identity: keepIds(start.identity),
    owner: start.owner,
    method: start.method,
    uri: keepText(start.uri, before?.uri),
    endpoint: keepText(start.endpoint, before?.endpoint),
    requestType: start.requestType,
    startedAt: start.startedAt,
    model: keepText(request.model, before?.model),
    modelRequested: keepText(request.modelRequested, before?.modelRequested),
    respondedAt: request.respondedAt,
    httpStatus: request.httpStatus,
    endedAt: request.endedAt,
    facts: request.facts,
    clockOffset,
    error: keepError(request.failure),
    attempts: keepAttempts(request),
  };
}

// What travels with them may be long.
function keepIds({ requestId, xRequestId, trace: { traceId, spanId, parentId } }: Ids): Ids {
  return {
    requestId,
    ...(xRequestId !== undefined && { xRequestId }),
    trace: parentId === undefined ? { traceId, spanId } : { traceId, spanId, parentId },
  };
}

// A copy, for a short text may be a slice of a long one.
function keepText<Text extends string | undefined>(text: Text, before: string | undefined): Text {
  if (text === undefined) return text;
  return (text === before ? before : cut(text)) as Text; // a string, since `text` is one
}

function keepAttempts({ answers, start: { identity } }: ObservedRequest): KeptAttempt[] {
  const kept: KeptAttempt[] = [];
  for (const { reports } of answers) for (const report of reports) kept.push(keepAttempt(report, identity));
  return kept.length > maxAttempts ? kept.slice(-maxAttempts) : kept;
}

function keepAttempt(report: Readonly<AttemptReport>, identity: Ids): KeptAttempt {
  const { number, instanceId, spanId, startedAt, endedAt, isSent, outcome, failure } = report;
  return {
    number,
    instanceId,
    spanId,
    startedAt,
    endedAt,
    isSent,
    outcome,
    errorType: failure?.code,
    error: keepError(failure),
    worker: keepWorker(report, identity),
  };
}

function keepWorker(report: Readonly<AttemptReport>, identity: Ids): KeptWorker | undefined {
  const { seen, items, elapsed_ms: elapsedMs, ttft_ms: ttftMs } = report.trailer;
  if (!seen) return undefined;
  const { span_id: spanId } = seen;
  return { spanId, items, elapsedMs, ttftMs, seen: isAsSent(report, identity, seen) ? undefined : seen };
}

function isAsSent(
  { spanId, instanceId, number }: Readonly<AttemptReport>,
  { requestId, xRequestId, trace: { traceId } }: Ids,
  seen: SeenIdentity,
): boolean {
  return (
    seen.request_id === requestId &&
    seen.x_request_id === xRequestId &&
    seen.trace_id === traceId &&
    seen.parent_id === spanId &&
    seen.instance_id === instanceId &&
    seen.attempt === number
  );
}

/** Both texts, which are the same as a rule. */
function keepError(failure: RuntimeError | undefined): KeptError | undefined {
  if (!failure) return undefined;
  const message = cut(failure.message);
  const said = toPublicMessage(failure);
  return { message, publicMessage: said === failure.message ? message : cut(said) };
}
