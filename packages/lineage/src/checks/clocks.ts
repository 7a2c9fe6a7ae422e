/** What the clocks say. Those of two machines differ, and any may be set while a request runs: that is told, and no fault, because durations are measured otherwise. */
import { formatMs } from "../terminal.ts";
import { parseTime } from "../logs/times.ts";
import { note, type AttemptNode, type Problem, type RequestNode, type RequestTree, type WorkerNode } from "../tree.ts";

/** Lines are a little later than what they tell of. */
const toleranceMs = 50;

/** From when to when, Unix time in ms; NaN if it is not known. */
export interface Period {
  readonly start: number;
  readonly end: number;
}

export function checkClocks({ request, attempts, strays }: Omit<RequestTree, "problems">): Problem[] {
  const step = request ? requestStep(request, attempts) : 0;
  return [
    ...noteStep("the frontend", step, "the request ran"),
    ...attempts.flatMap((attempt) => checkAttempt(attempt, toPeriod(attempt, request), step !== 0)),
    ...strays.flatMap((worker) => noteStep(nameOf(worker), workerStep(worker), "it worked")),
  ];
}

function nameOf({ instance_id: id = "unknown" }: WorkerNode): string {
  return `instance ${id}`;
}

function noteStep(who: string, ms: number, when: string): Problem[] {
  if (ms === 0) return [];
  return [
    note(
      `the clock of ${who} was set ${ms < 0 ? "back" : "ahead"} by about ${formatMs(Math.abs(ms))} while ${when}, so durations were compared`,
    ),
  ];
}

// Where one of the two clocks was set, how far apart they are says nothing.
function checkAttempt(attempt: AttemptNode, period: Period, isSet: boolean): Problem[] {
  return attempt.workers.flatMap((worker) => {
    const step = workerStep(worker);
    const offset = isSet || step !== 0 ? 0 : clockOffset(attempt, worker, period);
    const away = `${nameOf(worker)} lies ${formatMs(Math.abs(offset))} ${offset < 0 ? "before" : "after"} its attempt ${attempt.attempt ?? "?"} at ${attempt.worker_id ?? "?"}`;
    return [
      ...noteStep(nameOf(worker), step, "it worked"),
      ...(offset === 0
        ? []
        : [note(`${away}: their clocks differ, or one was set meanwhile, so durations were compared`)]),
      ...(worker.attempts ?? []).flatMap((inner) => checkAttempt(inner, toPeriod(inner), step !== 0)),
    ];
  });
}

/** When an attempt was. One without a line was some time during its request. */
export function toPeriod(attempt: AttemptNode, request: RequestNode = {}): Period {
  return {
    start: parseTime(attempt.started_at ?? request.received_at),
    end: parseTime(attempt.ended_at ?? request.ended_at),
  };
}

/** How far a worker's lines lie outside its attempt, ms: negative if its clock is behind. 0 if they fit. */
export function clockOffset({ outcome }: AttemptNode, worker: WorkerNode, { start, end }: Period): number {
  const [received, ended] = [parseTime(worker.received_at), parseTime(worker.ended_at)];
  if (received < start - toleranceMs) return received - start;
  if (outcome === "success" && ended > end + toleranceMs) return ended - end;
  return received > end + toleranceMs ? received - end : 0;
}

/** True if what a process did within `outer` seems to have been at another time. */
export function isOutside({ start, end }: Period, outer: Period): boolean {
  return start < outer.start - toleranceMs || end > outer.end + toleranceMs;
}

/** By how much the clock of a frontend was set while it had the request, ms, as far as its lines tell. */
function requestStep(request: RequestNode, attempts: readonly AttemptNode[]): number {
  const {
    received_at: received,
    responded_at: responded,
    finished_at: finished,
    ended_at: ended,
    elapsed_ms: elapsed,
    latency_ms: latency,
  } = request;
  let back = stepBack([received, responded, finished, ended]);
  for (const { caller_span_id: caller, started_at: startedAt, ended_at: endedAt } of attempts) {
    if (caller === undefined) back = Math.min(back, stepBack([received, startedAt, endedAt, ended]));
  }
  if (back < 0) return back;
  // The first line is written when the body has been read: no earlier than the request began.
  return (
    ifClear(Math.max(0, parseTime(ended) - parseTime(received) - (elapsed ?? Number.NaN))) ||
    ifClear(differ(ended, elapsed, responded, latency))
  );
}

/** The same of a worker. */
function workerStep({ received_at: received, ended_at: ended, elapsed_ms: elapsed }: WorkerNode): number {
  return ifClear(differ(ended, elapsed, received, 0)) || stepBack([received, ended]);
}

// Two lines with their distances from the beginning of the work: the same beginning, unless the clock was set between them.
function differ(
  last: string | undefined,
  lastMs = Number.NaN,
  first: string | undefined,
  firstMs = Number.NaN,
): number {
  return parseTime(last) - lastMs - (parseTime(first) - firstMs);
}

function ifClear(ms: number): number {
  return Math.abs(ms) > toleranceMs ? ms : 0;
}

// The largest step back in times that belong in this order; 0 if they are in it.
function stepBack(times: readonly (string | undefined)[]): number {
  const known = times.map(parseTime).filter((time) => !Number.isNaN(time));
  const step = Math.min(0, ...known.map((time, index) => time - (known[index - 1] ?? time)));
  return step < -1 ? step : 0;
}
