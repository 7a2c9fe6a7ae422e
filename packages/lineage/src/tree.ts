/** What is known of one request, whoever knows it: the request at the frontend, its attempts, and what each worker says it saw. JSON as it stands. */
import { excerpt } from "@dyn/runtime/internal";

/** Facts of a line or of a live object: known names only, each of its type, long texts cut. */
export type Facts<Texts extends string, Numbers extends string> = { readonly [Name in Texts]?: string } & {
  readonly [Name in Numbers]?: number;
};

const requestTexts = [
  "span_id",
  "parent_id",
  "method",
  "uri",
  "endpoint",
  "model",
  "model_requested",
  "request_type",
  "finish_reason",
  "error_type",
  "error",
  "worker_id",
  "prefill_worker_id",
  "decode_worker_id",
  "attempt_span_id",
  "prefill_attempt_span_id",
] as const;
const requestNumbers = [
  "bytes",
  "elapsed_ms",
  "latency_ms",
  "ttft_ms",
  "avg_itl_ms",
  "input_tokens",
  "output_tokens",
  "reasoning_tokens",
  "attempts",
] as const;
const attemptTexts = ["span_id", "parent_id", "caller_span_id", "worker_id", "router_mode", "error"] as const;
const workerTexts = [
  "request_id",
  "x_request_id",
  "trace_id",
  "span_id",
  "engine_span_id",
  "parent_id",
  "instance_id",
  "namespace",
  "component",
  "endpoint",
  "model",
  "disagg_role",
  "prefill_span_id",
  "finish_reason",
  "error_type",
  "error",
] as const;
const workerNumbers = [
  "attempt",
  "items",
  "elapsed_ms",
  "ttft_ms",
  "avg_itl_ms",
  "input_tokens",
  "output_tokens",
  "reasoning_tokens",
  "resumed_tokens",
  "request_bytes",
] as const;

/** Names of the facts of each kind of node. */
export const factNames: Readonly<
  Record<"request" | "attempt" | "worker", { readonly texts: readonly string[]; readonly numbers: readonly string[] }>
> = {
  request: { texts: requestTexts, numbers: requestNumbers },
  attempt: { texts: attemptTexts, numbers: ["elapsed_ms"] },
  worker: { texts: workerTexts, numbers: workerNumbers },
};

/** Names of all facts that are texts. */
export const factTexts: readonly string[] = [...requestTexts, ...attemptTexts, ...workerTexts];
/** Names of all facts that are numbers. */
export const factNumbers: readonly string[] = [...requestNumbers, ...workerNumbers];

/** `success`, `error` or `cancelled`; another word is kept as it is. */
type Status = string;

/** The span `http-request`. Times of day are RFC 3339 with microseconds. */
export type RequestNode = Facts<(typeof requestTexts)[number], (typeof requestNumbers)[number]> & {
  readonly received_at?: string;
  /** Its headers went out. */
  readonly responded_at?: string;
  /** The last byte of a stream was handed over. */
  readonly finished_at?: string;
  readonly ended_at?: string;
  /** How the stream ended, in the words of `status`. */
  readonly outcome?: string;
  readonly http_status?: number;
  readonly status?: Status;
  /** What the handler of the worker that answered has reported. */
  readonly facts?: Readonly<Record<string, string | number | boolean>>;
};

/** The span `router.route_request`. */
export type AttemptNode = Facts<(typeof attemptTexts)[number], "elapsed_ms"> & {
  readonly attempt?: number;
  readonly started_at?: string;
  readonly ended_at?: string;
  readonly outcome?: string;
  readonly error_type?: string;
  /** False if the request never left this process. */
  readonly sent: boolean;
  /** More than one only if something is wrong. */
  readonly workers: readonly WorkerNode[];
};

/** The span `handle_payload`, or what the worker said of it in its answer: then without times of day. */
export type WorkerNode = Facts<(typeof workerTexts)[number], (typeof workerNumbers)[number]> & {
  readonly received_at?: string;
  readonly ended_at?: string;
  readonly status?: Status;
  /** Requests its handler made under the same request id. */
  readonly attempts?: readonly AttemptNode[];
};

/** `missing` and `contradiction` break a lineage, a `note` does not. */
export interface Problem {
  readonly kind: "missing" | "contradiction" | "note";
  readonly message: string;
}

export function missing(message: string): Problem {
  return { kind: "missing", message };
}

export function contradiction(message: string): Problem {
  return { kind: "contradiction", message };
}

export function note(message: string): Problem {
  return { kind: "note", message };
}

/** A line that is not part of the lifecycle, but that someone looking at this request should read. */
export interface Notice {
  readonly time: string;
  readonly level: string;
  readonly target: string;
  readonly message: string;
  /** `file:line`. */
  readonly place: string;
}

/** What a tree was rebuilt from. */
export interface LogSources {
  /** Lines of the lifecycle. */
  readonly lines: number;
  /** Lines that only mention the request. */
  readonly other_lines: number;
  readonly files: readonly string[];
  /** The warnings and errors among the others, the first few. */
  readonly notices: readonly Notice[];
}

export interface RequestTree {
  readonly request_id: string;
  readonly x_request_id?: string;
  readonly trace_id?: string;
  /** `unknown`: there is no last line. */
  readonly state: "running" | "completed" | "unknown";
  readonly request?: RequestNode;
  readonly attempts: readonly AttemptNode[];
  /** What workers say they did although no attempt is known for it. */
  readonly strays: readonly WorkerNode[];
  readonly problems: readonly Problem[];
  /** Only of a tree from logs. */
  readonly log?: LogSources;
}

const maxChars = 256;

/** At most 256 characters, and nothing else of a long text is kept alive by it. */
export function cut(text: string): string {
  return text.length <= maxChars ? excerpt(text) : `${excerpt(text, maxChars - 1)}…`;
}

function pick<Texts extends string, Numbers extends string>(
  fields: Readonly<Record<string, unknown>>,
  texts: readonly Texts[],
  numbers: readonly Numbers[],
): Facts<Texts, Numbers> {
  const facts: Record<string, string | number> = {};
  for (const name of texts) {
    const value = fields[name];
    if (typeof value === "string") facts[name] = cut(value);
  }
  for (const name of numbers) {
    const value = fields[name];
    if (typeof value === "number" && Number.isFinite(value)) facts[name] = value;
  }
  return facts as Facts<Texts, Numbers>; // filled from exactly these names
}

/** The facts of a request among `fields`, which may come from anywhere. */
export function toRequestFacts(
  fields: Readonly<Record<string, unknown>>,
): Facts<(typeof requestTexts)[number], (typeof requestNumbers)[number]> {
  return pick(fields, requestTexts, requestNumbers);
}

export function toAttemptFacts(
  fields: Readonly<Record<string, unknown>>,
): Facts<(typeof attemptTexts)[number], "elapsed_ms"> {
  return pick(fields, attemptTexts, ["elapsed_ms"]);
}

export function toWorkerFacts(
  fields: Readonly<Record<string, unknown>>,
): Facts<(typeof workerTexts)[number], (typeof workerNumbers)[number]> {
  return pick(fields, workerTexts, workerNumbers);
}

/** All attempts of a tree, those of workers' own requests too, each before what lies below it. */
export function* walkAttempts(attempts: readonly AttemptNode[]): Generator<AttemptNode> {
  for (const attempt of attempts) {
    yield attempt;
    for (const worker of attempt.workers) yield* walkAttempts(worker.attempts ?? []);
  }
}

/** True if nothing is missing or contradictory. */
export function isWhole({ problems }: RequestTree): boolean {
  return problems.every(({ kind }) => kind === "note");
}
