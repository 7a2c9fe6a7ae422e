/** What this frontend knows of its own requests: those that run, and the latest of those that are over. */
import { checkSeen, checkTree } from "./checks/tree.ts";
import { keepRequest, type KeptRequest, type ObservedRequest, type ObservedStart } from "./kept.ts";
import { toTree } from "./kept-tree.ts";
import { toRequestId } from "./request-ids.ts";
import type { RequestTree } from "./tree.ts";

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
  /** It runs, until it ends: it is read by whoever asks. */
  begin(request: ObservedRequest): void;
  /** It is over, and is not read again. Once: what has ended stays as it was. */
  end(request: ObservedRequest): void;
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

/** Over, or under way. */
type AnyRequest = KeptRequest | ObservedRequest;

const maxOthers = 20;

/** Create an empty history. */
export function createHistory({ size, now, clockOffset }: HistoryOptions): History {
  /** With the offset of the clock at the beginning. */
  const running = new Map<ObservedRequest, number>();
  const finished: KeptRequest[] = [];
  let latest: KeptRequest | undefined;
  let next = 0; // where the ring is written
  const keep = (each: AnyRequest): KeptRequest =>
    "start" in each ? keepRequest(each, running.get(each) ?? clockOffset(), undefined) : each;
  return {
    begin(request) {
      running.set(request, clockOffset());
    },
    end(request) {
      const offset = running.get(request);
      if (offset === undefined) return;
      running.delete(request);
      latest = keepRequest(request, offset, latest);
      finished[next] = latest;
      next = (next + 1) % size;
    },
    find(text, reader) {
      const id = toRequestId(text);
      const isMeant = (each: AnyRequest): boolean => isFor(startOf(each), reader) && isCalled(startOf(each), id);
      const found = [...finished, ...running.keys()]
        .filter(isMeant)
        .sort((left, right) => startOf(left).startedAt - startOf(right).startedAt)
        .slice(-maxOthers - 1)
        .map((each) => toTree(keep(each), reader.seesAll, now()));
      const newest = found.pop();
      if (!newest) return undefined;
      const others = found.reverse().map(toOther);
      const problems = [...checkTree(newest), ...checkSeen(newest)];
      return { ...newest, problems, ...(others.length > 0 && { others }) };
    },
  };
}

function startOf(each: AnyRequest): ObservedStart {
  return "start" in each ? each.start : each;
}

function isCalled({ identity: { requestId, xRequestId, trace } }: ObservedStart, id: string): boolean {
  const { traceId, spanId } = trace;
  return id === requestId || id === xRequestId || id === traceId || id === spanId;
}

function isFor({ owner }: ObservedStart, reader: Reader): boolean {
  return reader.seesAll || (reader.owner !== undefined && reader.owner === owner);
}

function toOther({ request_id, request, state }: Omit<RequestTree, "problems">): OtherRequest {
  return {
    request_id,
    span_id: request?.span_id,
    state,
    ...(request?.received_at !== undefined && { received_at: request.received_at }),
  };
}
