/** What the workers of a process were asked, and what they answered: for the assertions of tests. */
import type { RequestContext } from "@dyn/runtime";
import type { Delta, ModelRequest, ToolKind } from "@dyn/runtime/llm";
import type { Plan } from "../answers/plan.ts";
import { play } from "../answers/play.ts";
import { sizeOf } from "./size.ts";

/** Memory for all that is kept. */
const maxBytes = 64 * 1024 * 1024;

/** A request as a worker has seen it. */
export interface SeenRequest {
  /** When it came, as ISO 8601. */
  readonly at: string;
  readonly requestId: string;
  readonly xRequestId?: string;
  readonly traceId: string;
  /** Name of the API key that the frontend has accepted. */
  readonly apiKeyName?: string;
  /** 0 for the first try. */
  readonly attempt: number;
  /** Those that the frontend lets through. */
  readonly headers: Readonly<Record<string, string>>;
  /** What the engine was given: the completion to make. */
  readonly request: ModelRequest;
  /** Place of the rule of the script that has answered, from 0. Absent = the mock's own rules have. */
  readonly rule?: number;
  readonly answer: SeenAnswer;
  /** `running`; `completed`: all of the answer was given; `stopped`: no more of it was wanted, because of a limit or a stop text; `failed`; `cancelled`:
   *  whoever had asked left, or the connection was lost. */
  readonly outcome: "running" | "completed" | "stopped" | "failed" | "cancelled";
  /** Of a request that failed. */
  readonly error?: string;
  /** How long it took, ms. Absent while it runs. */
  readonly durationMs?: number;
}

/** What this worker has given of the answer. */
export interface SeenAnswer {
  readonly text: string;
  /** What it has thought. */
  readonly reasoning?: string;
  readonly toolCalls?: readonly SeenCall[];
  readonly tokens: number;
}

/** A call that this worker has made. */
export interface SeenCall {
  /** "" if another worker has begun it. */
  readonly name: string;
  readonly kind: ToolKind;
  /** As far as they were given. */
  readonly arguments: string;
}

/** A request that is being answered. */
export interface Sighting {
  /** This is given. @returns the tokens that have been. */
  add(delta: Delta): number;
  /** All of the answer has been given. */
  isComplete: boolean;
  /** Why it failed. */
  error: unknown;
  /** Nothing more comes of it; `isAborted`: because nobody waits for it any more. */
  end(isAborted: boolean): void;
}

/** Of a request that nobody writes down. */
export function createUnseen(): Sighting {
  let tokens = 0;
  return { add: () => (tokens += 1), isComplete: false, error: undefined, end: () => undefined };
}

interface HowAnswered {
  readonly rule: number | undefined;
  /** Somebody else answers, and the plan is what has come of it. */
  readonly isRecorded: boolean;
  /** Makes the plan of the answer once more: nothing of an answer is kept but how far it has come. */
  readonly toPlan: () => Plan;
}

export interface SeenRequests {
  begin(request: ModelRequest, context: RequestContext, how: HowAnswered): Sighting;
  /** The oldest first. */
  readonly list: () => readonly SeenRequest[];
  readonly clear: () => void;
}

interface SeenOptions {
  /** Requests that are kept; 0 = none. */
  readonly max: number;
  /** Wall clock, ms. */
  readonly now: () => number;
}

export function createSeenRequests({ max, now }: SeenOptions): SeenRequests {
  let kept: { readonly bytes: number; readonly show: () => SeenRequest }[] = [];
  let bytes = 0;
  return {
    begin(request, context, how) {
      const { sighting, show } = createSighting(request, toIds(context), how, now);
      const size = sizeOf(request);
      kept.push({ bytes: size, show });
      bytes += size;
      while (kept.length > max || (bytes > maxBytes && kept.length > 1)) bytes -= kept.shift()?.bytes ?? 0;
      return sighting;
    },
    list: () => kept.map(({ show }) => show()),
    clear() {
      kept = [];
      bytes = 0;
    },
  };
}

type Ids = Pick<SeenRequest, "requestId" | "xRequestId" | "traceId" | "apiKeyName" | "attempt" | "headers">;

// A context is not kept: much of the request hangs on it.
function toIds({ requestId, xRequestId, trace, apiKeyName, attempt, headers }: RequestContext): Ids {
  return {
    requestId,
    ...(xRequestId !== undefined && { xRequestId }),
    traceId: trace.traceId,
    ...(apiKeyName !== undefined && { apiKeyName }),
    attempt,
    headers,
  };
}

function createSighting(
  request: ModelRequest,
  ids: Ids,
  { rule, isRecorded, toPlan }: HowAnswered,
  now: () => number,
): { readonly sighting: Sighting; readonly show: () => SeenRequest } {
  const startedAt = now();
  let end: Pick<SeenRequest, "outcome" | "error" | "durationMs"> = { outcome: "running" };
  let tokens = 0;
  const sighting: Sighting = {
    add: ({ tokenIds }) => (tokens += tokenIds?.length ?? 0),
    isComplete: false,
    error: undefined,
    end(isAborted) {
      const { isComplete, error } = sighting;
      const outcome = isComplete ? "completed" : isAborted ? "cancelled" : error === undefined ? "stopped" : "failed";
      const message = error instanceof Error ? error.message : String(error);
      end = { outcome, ...(error !== undefined && { error: message }), durationMs: now() - startedAt };
    },
  };
  return {
    sighting,
    show: () => ({
      at: new Date(startedAt).toISOString(),
      ...ids,
      request,
      ...(rule !== undefined && { rule }),
      answer: toAnswer(toPlan(), request.generated?.tokens ?? 0, isRecorded ? Number.POSITIVE_INFINITY : tokens),
      ...end,
    }),
  };
}

function toAnswer(plan: Plan, done: number, tokens: number): SeenAnswer {
  let [text, reasoning] = ["", ""];
  const calls: { name: string; kind: ToolKind; arguments: string }[] = [];
  let count = 0;
  for (const step of play(plan, { seed: 0, done })) {
    if (count === tokens) break;
    if (!("tokenIds" in step)) continue;
    count += 1;
    text += step.text;
    reasoning += step.reasoning ?? "";
    for (const { name, kind = "function", arguments: piece = "" } of step.toolCalls ?? []) {
      const last = calls.at(-1);
      if (name === undefined && last) last.arguments += piece;
      else calls.push({ name: name ?? "", kind, arguments: piece });
    }
  }
  return { text, ...(reasoning !== "" && { reasoning }), ...(calls.length > 0 && { toolCalls: calls }), tokens: count };
}
