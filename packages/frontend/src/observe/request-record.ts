/** What is known of one inference request, filled in while it is served. Its lines, its metrics, the history and its span read it: none of them counts for itself. */
import type { Answer, Identity, RuntimeError } from "@dyn/runtime";
import { roundMs, TokenClock, toOutcome } from "@dyn/runtime/internal";
import type { FinishReason, Usage } from "@dyn/runtime/llm";

/** What is known when its first line is written. Times are readings of one monotonic clock, ms. */
export interface RequestStart {
  readonly identity: Identity;
  readonly method: string | undefined;
  readonly uri: string | undefined;
  /** Who may ask for it later, beside operators; undefined = nobody. */
  readonly owner: string | undefined;
  /** `chat_completions`, … */
  readonly endpoint: string;
  readonly requestType: "unary" | "stream";
  /** The name the client asked for; undefined if the body could not be read. */
  readonly modelAsked: string | undefined;
  /** True if that model is registered. */
  readonly isKnown: boolean;
  /** Nobody counts tokens of its answer: it is that of an endpoint of one's own. Default false. */
  readonly isTokenless?: boolean;
  readonly startedAt: number;
  /** When the body had been read and parsed. */
  readonly parsedAt: number;
}

/** Facts of the last line, as far as they are known. Numbers and short texts of ours: the history holds them. */
export type RequestFacts = Readonly<Record<string, string | number | boolean>>;

/** What a router says of its attempts. */
export type Routed = Pick<Answer<unknown>, "attempts" | "retries" | "resumptions" | "reports">;

/** Models no client may name in a label. */
export const unknownModel = "unknown_model";

/** Who reads the record: its lines, its metrics, the history, its span. */
export interface RequestReader {
  /** The answer's headers are out. */
  responded?(record: RequestRecord): void;
  /** It is over. Once. */
  ended(record: RequestRecord): void;
}

/** A class: there is one per request. */
export class RequestRecord {
  readonly start: RequestStart;
  /** A label of metrics: the registered model, or `unknown_model`. */
  readonly model: string;
  readonly clock: TokenClock;
  /** The router's answer from a prefill worker, if the prompt is another's work. */
  prefill: Routed | undefined;
  /** The router's answer from the worker that answers. */
  answer: Routed | undefined;
  /** Tokens of the prompt as the frontend counts them, for want of the worker's. */
  promptTokens: number | undefined;
  /** As the worker says: of the prompt when its engine knows it, all at its end. */
  usage: Partial<Usage> | undefined;
  /** Of the choices that have ended, each once. */
  finishReasons: readonly FinishReason[] = [];
  /** How it ended, if not well. */
  failure: RuntimeError | undefined;
  respondedAt: number | undefined;
  httpStatus: number | undefined;
  /** Bytes of a stream that has begun. */
  streamedBytes: number | undefined;
  endedAt: number | undefined;
  #facts: RequestFacts | undefined;

  constructor(start: RequestStart, now: () => number) {
    this.start = start;
    this.model = start.isKnown && start.modelAsked !== undefined ? start.modelAsked : unknownModel;
    this.clock = new TokenClock(start.startedAt, now);
  }

  /** The name the client asked for, if it is no registered one. */
  get modelRequested(): string | undefined {
    return this.start.isKnown ? undefined : this.start.modelAsked;
  }

  get inputTokens(): number | undefined {
    return this.usage?.promptTokens ?? this.promptTokens;
  }

  /** Of the prompt, found in a prefix cache. */
  get cachedTokens(): number | undefined {
    return this.usage?.cachedTokens;
  }

  get outputTokens(): number {
    return this.usage?.completionTokens ?? this.clock.count;
  }

  get answers(): readonly Routed[] {
    const { prefill, answer } = this;
    if (prefill) return answer ? [prefill, answer] : [prefill];
    return answer ? [answer] : [];
  }

  /** At workers, of either kind. */
  get attempts(): number {
    return (this.prefill?.attempts ?? 0) + (this.answer?.attempts ?? 0);
  }

  /** Of these, those at another instance before anything was delivered. */
  get retries(): number {
    return (this.prefill?.retries ?? 0) + (this.answer?.retries ?? 0);
  }

  /** Of these, those at another instance for the rest of an answer. */
  get resumptions(): number {
    return (this.prefill?.resumptions ?? 0) + (this.answer?.resumptions ?? 0);
  }

  get outcome(): ReturnType<typeof toOutcome> {
    return toOutcome(this.failure);
  }

  /** Once it is over they stay as they are. */
  get facts(): RequestFacts {
    if (this.#facts) return this.#facts;
    const facts = toFacts(this);
    if (this.endedAt !== undefined) this.#facts = facts;
    return facts;
  }
}

// Name by name: spreads of what may be there cost several times as much.
function toFacts(record: RequestRecord): RequestFacts {
  const { attempts, clock, inputTokens, outputTokens, usage, endedAt, failure } = record;
  const { startedAt } = clock;
  const { ttft_ms, avg_itl_ms } = clock.times(startedAt, outputTokens);
  const facts: Record<string, string | number | boolean> = { attempts };
  if (record.start.isTokenless !== true) facts["output_tokens"] = outputTokens;
  if (inputTokens !== undefined) facts["input_tokens"] = inputTokens;
  if (usage?.reasoningTokens !== undefined) facts["reasoning_tokens"] = usage.reasoningTokens;
  if (ttft_ms !== undefined) facts["ttft_ms"] = ttft_ms;
  if (avg_itl_ms !== undefined) facts["avg_itl_ms"] = avg_itl_ms;
  if (record.finishReasons.length > 0) facts["finish_reason"] = record.finishReasons.join(",");
  addWorkers(facts, record);
  addReported(facts, record);
  if (endedAt === undefined) return facts;
  facts["elapsed_ms"] = roundMs(endedAt - startedAt);
  facts["status"] = record.outcome;
  if (!failure) return facts;
  const { metric, detail } = failure.traits;
  facts["error_type"] = metric;
  facts["error_detail"] = detail;
  return facts;
}

// Of the last attempts: one worker does both halves, as a rule. What was never sent has no worker's span below it.
function addWorkers(facts: Record<string, string | number | boolean>, { prefill, answer }: RequestRecord): void {
  const last = answer?.reports.at(-1);
  const lastPrefill = prefill?.reports.at(-1);
  const atPrompt = lastPrefill ?? last;
  if (atPrompt) facts["prefill_worker_id"] = atPrompt.instanceId;
  if (last) {
    facts["worker_id"] = last.instanceId;
    facts["decode_worker_id"] = last.instanceId;
  }
  if (last?.isSent) facts["attempt_span_id"] = last.spanId;
  if (lastPrefill?.isSent) facts["prefill_attempt_span_id"] = lastPrefill.spanId;
}

// By names that none of ours has.
function addReported(facts: Record<string, string | number | boolean>, { answer }: RequestRecord): void {
  const reported = answer?.reports.at(-1)?.trailer.facts;
  if (!reported) return;
  for (const [name, value] of Object.entries(reported)) facts[`facts.${name}`] = value;
}
