// Requests of a history, and a clock that only a test moves.
import type { AttemptReport, Fields, Identity, RuntimeError } from "@dyn/runtime";
import { createHistory, type FoundTree, type Reader } from "../../packages/lineage/src/history.ts";
import type { ObservedRequest, ObservedStart } from "../../packages/lineage/src/kept.ts";

/** A request under way. */
export interface Observed {
  responded(status: number): void;
  /** `endedAt`: default now. */
  end(facts: Fields, failure?: RuntimeError, endedAt?: number): void;
}

export interface Fixture {
  /** As an operator, unless `reader` is somebody else. */
  readonly find: (id: string, reader?: Reader) => FoundTree | undefined;
  readonly begin: (
    identity: Partial<Identity>,
    reports?: readonly AttemptReport[],
    more?: Partial<ObservedStart & Pick<ObservedRequest, "model" | "modelRequested">>,
  ) => Observed;
  readonly advance: (ms: number) => void;
  readonly now: () => number;
  /** Set the system's clock. */
  readonly setClock: (ms: number) => void;
}

export const operator: Reader = { owner: undefined, seesAll: true };

export function createFixture(size: number): Fixture {
  let clock = 0;
  let offset = Date.UTC(2026, 10, 24);
  let count = 0;
  const now = (): number => clock;
  const history = createHistory({ size, now, clockOffset: () => offset });
  return {
    find: (id, reader = operator) => history.find(id, reader),
    now,
    begin(identity, reports = [], more = {}) {
      count += 1;
      const trace = { traceId: `trace-${count}`, spanId: `span-${count}`, flags: 1 };
      const { model = "mock", modelRequested, ...ofStart } = more;
      const request = {
        start: {
          identity: { requestId: `request-${count}`, trace, ...identity },
          owner: undefined,
          endpoint: "chat_completions",
          requestType: "stream",
          method: "POST",
          uri: "/v1/chat/completions",
          startedAt: clock,
          ...ofStart,
        },
        model,
        modelRequested,
        respondedAt: undefined,
        httpStatus: undefined,
        endedAt: undefined,
        failure: undefined,
        answers: [{ reports }],
        facts: { output_tokens: 5 },
      };
      history.begin(request);
      return {
        responded: (httpStatus) => void Object.assign(request, { httpStatus, respondedAt: clock }),
        end(facts, failure, endedAt = clock) {
          Object.assign(request, { facts, failure, endedAt });
          history.end(request);
        },
      };
    },
    advance(ms) {
      clock += ms;
    },
    setClock(ms) {
      offset += ms;
    },
  };
}

/** Of an attempt that went well. */
export function report(more: Partial<AttemptReport> = {}): AttemptReport {
  const seen = {
    request_id: "request-1",
    trace_id: "trace-1",
    parent_id: "attempt-span",
    span_id: "worker-span",
    instance_id: "7",
    attempt: 0,
  };
  return {
    number: 0,
    instanceId: "7",
    spanId: "attempt-span",
    startedAt: 1,
    endedAt: 9,
    isSent: true,
    outcome: "success",
    failure: undefined,
    trailer: { seen, items: 4, elapsed_ms: 6, ttft_ms: 2 },
    ...more,
  };
}

/** Facts of a last line. */
export const success = {
  status: "success",
  attempts: 1,
  worker_id: "7",
  prefill_worker_id: "7",
  decode_worker_id: "7",
  output_tokens: 3,
  elapsed_ms: 10,
};
