/** What this frontend knows of its own requests: those that run, and the latest of those that are over. */
import type { AttemptReport, Fields, Identity, RuntimeError } from "@dyn/runtime";
import { roundMs } from "@dyn/runtime/internal";
import { checkSeen, checkTree } from "./checks/tree.ts";
import { keepAttempts, keepError, keepTexts, toAttemptNode, type KeptAttempt, type KeptError } from "./kept.ts";
import { toRequestId } from "./request-ids.ts";
import { formatTime } from "./logs/times.ts";
import { toRequestFacts, type RequestTree } from "./tree.ts";

/** What is known of a request when it begins. Times are readings of the history's clock, ms. */
export interface RequestStart {
  readonly identity: Identity;
  /** Whose it is; undefined = nobody's in particular. */
  readonly owner: string | undefined;
  /** Facts of its first line: method, uri, model, … */
  readonly fields: Fields;
  readonly startedAt: number;
  /** Attempts, one list per worker asked, in order. The lists may still grow. */
  readonly routes: readonly (readonly Readonly<AttemptReport>[])[];
  /** What has come of it so far: the facts its last line would have now. */
  readonly measure: () => Fields;
}

/** One request under way. */
export interface RequestRecord {
  /** Its headers are out. */
  responded(status: number): void;
  /** It is over, since `endedAt`: the facts of its last line, and what went wrong. */
  finish(fields: Fields, endedAt: number, failure?: RuntimeError): void;
}

/** Who wants to know. */
export interface Reader {
  /** Of the requests that it may see; undefined = it has none. */
  readonly owner: string | undefined;
  /** Sees everybody's, and errors as the log has them: with addresses. Owners see what their clients were told. */
  readonly seesAll: boolean;
}

/** Another request with the same id, client id or trace. */
export interface OtherRequest {
  readonly request_id: string;
  /** No two have the same one: what to ask for where all else is the same. */
  readonly span_id: string | undefined;
  readonly received_at?: string;
  readonly state: RequestTree["state"];
}

export type FoundTree = RequestTree & { readonly others?: readonly OtherRequest[] };

export interface History {
  begin(start: RequestStart): RequestRecord;
  /** By request id, client id, trace id, span id or the id of an answer; of those that `reader` may see the newest. */
  find(id: string, reader: Reader): FoundTree | undefined;
}

export interface HistoryOptions {
  /** Most finished requests that are kept. What runs is kept besides: it is bounded by the connections. */
  readonly size: number;
  /** Monotonic clock, ms. */
  readonly now: () => number;
  /** Unix time minus that clock, ms. */
  readonly clockOffset: () => number;
}

type Tree = Omit<RequestTree, "problems">;

const maxOthers = 20;

/** Create an empty history. */
export function createHistory({ size, now, clockOffset }: HistoryOptions): History {
  const running = new Set<RequestEntry>();
  const finished: RequestEntry[] = [];
  let next = 0; // where the ring is written
  const onFinish = (entry: RequestEntry): void => {
    running.delete(entry);
    finished[next] = entry;
    next = (next + 1) % size;
  };
  return {
    begin(start) {
      const entry = new RequestEntry(start, { now, offset: clockOffset(), onFinish });
      running.add(entry);
      return entry;
    },
    find(text, reader) {
      const id = toRequestId(text);
      const matching = [...finished, ...running].filter((entry) => entry.matches(id) && entry.isFor(reader));
      const found = matching.sort((left, right) => left.startedAt - right.startedAt);
      const newest = found.pop()?.toTree(reader);
      if (!newest) return undefined;
      const others = found.slice(-maxOthers).reverse();
      const problems = [...checkTree(newest), ...checkSeen(newest)];
      return {
        ...newest,
        problems,
        ...(others.length > 0 && { others: others.map((entry) => toOther(entry.toTree(reader))) }),
      };
    },
  };
}

function toOther({ request_id, request, state }: Tree): OtherRequest {
  return {
    request_id,
    span_id: request?.span_id,
    state,
    ...(request?.received_at !== undefined && { received_at: request.received_at }),
  };
}

/** What is needed of an identity. */
interface KeptIds {
  readonly requestId: string;
  readonly xRequestId: string | undefined;
  readonly traceId: string;
  readonly spanId: string;
  readonly parentId: string | undefined;
}

type State =
  | { readonly type: "running"; readonly start: RequestStart }
  | {
      readonly type: "completed";
      readonly fields: Fields;
      readonly final: Fields;
      readonly error: KeptError | undefined;
      readonly endedAt: number;
      readonly attempts: readonly KeptAttempt[];
    };

interface EntryParts {
  readonly now: () => number;
  /** Unix time minus that clock at the beginning: all times of a request go by it, so they are in order if the system's clock is set meanwhile. */
  readonly offset: number;
  readonly onFinish: (entry: RequestEntry) => void;
}

// Trees are built for whoever asks; a request costs a few small objects.
class RequestEntry implements RequestRecord {
  readonly startedAt: number;
  #ids: KeptIds;
  #owner: string | undefined;
  #state: State;
  #now: () => number;
  #offset: number;
  #onFinish: (entry: RequestEntry) => void;
  #respondedAt: number | undefined;
  #httpStatus: number | undefined;

  constructor(start: RequestStart, { now, offset, onFinish }: EntryParts) {
    const { requestId, xRequestId, trace } = start.identity;
    this.startedAt = start.startedAt;
    this.#ids = { requestId, xRequestId, traceId: trace.traceId, spanId: trace.spanId, parentId: trace.parentId };
    this.#owner = start.owner;
    this.#state = { type: "running", start };
    this.#now = now;
    this.#offset = offset;
    this.#onFinish = onFinish;
  }

  matches(id: string): boolean {
    const { requestId, xRequestId, traceId, spanId } = this.#ids;
    return id === requestId || id === xRequestId || id === traceId || id === spanId;
  }

  isFor({ owner, seesAll }: Reader): boolean {
    return seesAll || (owner !== undefined && owner === this.#owner);
  }

  responded(status: number): void {
    this.#respondedAt = this.#now();
    this.#httpStatus = status;
  }

  finish(final: Fields, endedAt: number, failure?: RuntimeError): void {
    if (this.#state.type === "completed") return;
    const { fields, routes } = this.#state.start;
    const attempts = keepAttempts(routes);
    this.#state = {
      type: "completed",
      fields: keepTexts(fields),
      final: keepTexts(final),
      error: keepError(failure),
      endedAt,
      attempts,
    };
    this.#onFinish(this);
  }

  toTree({ seesAll }: Reader): Tree {
    const toTime = (at: number): string => formatTime(at + this.#offset);
    const { requestId, xRequestId, traceId, spanId, parentId } = this.#ids;
    const toText = (error: KeptError | undefined): string | undefined =>
      seesAll ? error?.message : error?.publicMessage;
    const { fields, error, attempts, endedAt, status } = this.#read();
    return {
      request_id: requestId,
      ...(xRequestId !== undefined && { x_request_id: xRequestId }),
      trace_id: traceId,
      state: this.#state.type,
      request: {
        ...toRequestFacts({ ...fields, error: toText(error), span_id: spanId, parent_id: parentId }),
        received_at: toTime(this.startedAt),
        ...(this.#respondedAt !== undefined && { responded_at: toTime(this.#respondedAt) }),
        ...(this.#httpStatus !== undefined && { http_status: this.#httpStatus }),
        ...(endedAt !== undefined && { ended_at: toTime(endedAt) }),
        ...(typeof status === "string" && { status }),
      },
      attempts: attempts.map((attempt) => toAttemptNode(attempt, toText(attempt.error), spanId, toTime)),
      strays: [],
    };
  }

  #read(): {
    fields: Fields;
    error?: KeptError | undefined;
    attempts: readonly KeptAttempt[];
    endedAt?: number;
    status?: unknown;
  } {
    const state = this.#state;
    if (state.type === "completed") {
      const { fields, final, error, endedAt, attempts } = state;
      return { fields: { ...fields, ...final }, error, attempts, endedAt, status: final["status"] };
    }
    const { fields, measure, routes } = state.start;
    const attempts = keepAttempts(routes);
    const elapsed_ms = roundMs(this.#now() - this.startedAt);
    return { fields: { ...fields, ...measure(), elapsed_ms, attempts: attempts.length }, attempts };
  }
}
