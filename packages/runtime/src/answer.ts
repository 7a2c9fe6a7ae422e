/** One request of a client, and the answer to it. */
import { refuseUnknown, type GenerateOptions } from "./egress/call-options.ts";
import { countOf } from "./counts.ts";
import { maxTimerMs } from "./settings/environment.ts";
import { assertSwitch, assertWhole } from "./settings/options.ts";
import type { Instance } from "./discovery/instance.ts";
import type { AttemptReport, RoutedRequest } from "./egress/routed-request.ts";
import { InterceptedBatches, type AnswerChain } from "./egress/intercepted-answer.ts";
import { maxWindowBytes } from "./egress/client-stream.ts";
import { defaultWindowBytes } from "./net/item-receiver.ts";
import type { Choosing } from "./egress/pick.ts";
import { toRetrying, type Retrying } from "./egress/retry.ts";
import { Upload } from "./egress/upload.ts";
import { RoutedAnswer, type Batches, type RouterOptions } from "./egress/router.ts";
import { toDestination, type Destination } from "./egress/destination.ts";
import { createRequestId, isSaneClientId, isUuid } from "./ids.ts";
import { RuntimeError } from "./errors.ts";
import { isAsyncIterable } from "./given-items.ts";
import { continueTrace, earlier, type CallScopes, type Inherited } from "./trace/call-scope.ts";
import type { Identity } from "./trace/identity.ts";
import { takeHeaders } from "./trace/request-headers.ts";
import type { Tracer } from "./trace/spans.ts";
import { acceptTrace, type TraceContext } from "./trace/traceparent.ts";
import type { Trailer } from "./wire/endings.ts";
import { streamPayload } from "./wire/messages.ts";
import { encodePayload } from "./wire/payload.ts";

/** An answer. Iterate it for items, or `batches()` for the arrays they arrived in. */
export interface Answer<Item> extends AsyncIterable<Item> {
  readonly requestId: string;
  batches(): Batches<Item>;
  /** Decimal u64 of the instance of the last attempt; undefined before the first. */
  readonly instanceId: string | undefined;
  readonly attempts: number;
  /** Of these, those at another instance before an item had been delivered. */
  readonly retries: number;
  /** Of these, those at another instance for the rest of the answer. */
  readonly resumptions: number;
  /** What the worker reported at the end; empty before. */
  readonly trailer: Partial<Trailer>;
  /** One per attempt so far. The list and its last member change while the answer is on its way. */
  readonly reports: readonly Readonly<AttemptReport>[];
}

/** Where requests of a client go. */
export interface AnswerParts {
  readonly routing: RouterOptions;
  /** What a REQUEST names. */
  readonly path: string;
  /** Instances to choose from, asked anew for every attempt. */
  readonly candidates: () => readonly Instance[];
  /** Of requests that say nothing of it. */
  readonly retry: Retrying;
  /** The key of requests that are given none. */
  readonly keyOf: Choosing["keyOf"];
  readonly scopes: CallScopes;
  /** Of requests that say nothing of it. */
  readonly inherit: boolean;
  /** Undefined without interceptors. */
  readonly through: AnswerChain | undefined;
}

/** Create the answer to `request`: nothing is sent before it is read. @throws RuntimeError `invalid_argument` on a request or an option that cannot be sent. */
export function createAnswer<Item>(parts: AnswerParts, request: unknown, options: GenerateOptions): Answer<Item> {
  refuseUnknown(options);
  const destination = toDestination(request, options, parts.keyOf);
  if (parts.through) {
    const routed = toRoutedRequest(parts, options, destination, undefined); // what is sent is known when interceptors are through with it
    return new InterceptedItems<Item>(parts.routing, routed, request, parts.through);
  }
  const upload = isAsyncIterable(request) ? new Upload(request) : undefined;
  const payload = upload ? streamPayload : encodePayload(request);
  return new RoutedItems<Item>(parts.routing, toRoutedRequest(parts, options, destination, upload), payload);
}

/** The only item of an answer, once it has ended. @throws RuntimeError `protocol` if there is none, or one more; that cancels the request. */
export async function readOne<Item>(answer: Answer<Item>): Promise<Item> {
  const items: Item[] = [];
  for await (const batch of answer.batches()) {
    items.push(...batch.slice(0, 2));
    if (items.length > 1)
      throw new RuntimeError("protocol", "the endpoint gave more than one item: read them with `generate`");
  }
  if (items.length === 0)
    throw new RuntimeError("protocol", "the endpoint gave no item: read its answer with `generate`");
  return items[0] as Item; // there is one
}

function toRoutedRequest(
  parts: AnswerParts,
  options: GenerateOptions,
  destination: Destination,
  upload: Upload | undefined,
): RoutedRequest {
  const { routing, path, candidates, retry } = parts;
  const { timeoutMs, windowBytes = defaultWindowBytes, resume, inherit = parts.inherit } = options;
  if (timeoutMs !== undefined) assertWhole("timeoutMs", timeoutMs, 1, maxTimerMs); // a timer would take a longer time for 1 ms
  assertWhole("windowBytes", windowBytes, 1, maxWindowBytes);
  assertSwitch("inherit", inherit);
  const inherited = inherit ? parts.scopes.current() : undefined;
  const deadlineAt = timeoutMs === undefined ? options.deadlineAt : routing.now() + timeoutMs;
  return {
    ...toCaller(options, routing.tracer, inherited),
    path,
    upload,
    headers: options.headers && takeHeaders(options.headers),
    signal: toSignal(options.signal, timeoutMs, inherited?.signal),
    deadlineAt: earlier(deadlineAt, inherited?.deadlineAt),
    windowBytes,
    ...destination,
    candidates,
    retry: options.retry === undefined ? retry : toRetrying(options.retry),
    ...(resume && { resume: () => encodeRest(resume()) }),
    reports: [],
    retries: 0,
    resumptions: 0,
  };
}

type Caller = Pick<RoutedRequest, "identity" | "isOwnSpan" | "callerSpanId">;

function toCaller(options: GenerateOptions, tracer: Tracer, inherited: Inherited | undefined): Caller {
  const { identity, traceparent, tracestate } = options;
  if (identity) return { identity, isOwnSpan: false, callerSpanId: undefined };
  const active = traceparent === undefined ? tracer.active() : undefined;
  const parent = active?.trace ?? (traceparent === undefined ? inherited?.identity.trace : undefined);
  const trace = tracer.sample(parent ? continueTrace(parent, tracestate) : acceptTrace(traceparent, tracestate));
  return {
    identity: toIdentity(options, trace, inherited?.identity),
    isOwnSpan: true,
    callerSpanId: active ? active.ownSpanId : trace.parentId,
  };
}

function toIdentity(options: GenerateOptions, trace: TraceContext, inherited: Identity | undefined): Identity {
  const { requestId = inherited?.requestId ?? createRequestId() } = options;
  const { xRequestId = inherited?.xRequestId, baggage = inherited?.baggage } = options;
  const apiKeyName = inherited?.apiKeyName;
  if (!isUuid(requestId))
    throw new RuntimeError(
      "invalid_argument",
      `requestId must be a UUID, got ${countOf(requestId.length, "character")}`,
    );
  if (xRequestId !== undefined && !isSaneClientId(xRequestId)) {
    throw new RuntimeError("invalid_argument", "xRequestId must be 1 to 256 characters of visible ASCII");
  }
  return {
    requestId,
    ...(xRequestId !== undefined && { xRequestId }),
    trace,
    ...(baggage !== undefined && { baggage }),
    ...(apiKeyName !== undefined && { apiKeyName }),
  };
}

function encodeRest(request: unknown): Uint8Array | undefined {
  return request === undefined ? undefined : encodePayload(request);
}

// Any of them ends the request.
function toSignal(
  given: AbortSignal | undefined,
  timeoutMs: number | undefined,
  inherited: AbortSignal | undefined,
): AbortSignal | undefined {
  const timeout = timeoutMs === undefined ? undefined : AbortSignal.timeout(timeoutMs);
  const signals = [given, timeout, inherited].filter((signal) => signal !== undefined);
  return signals.length > 1 ? AbortSignal.any(signals) : signals[0];
}

// A class: an object with getters, made anew for each request, costs more than all the rest of this file.
class RoutedItems<Item> implements Answer<Item> {
  #request: RoutedRequest;
  #payload: Uint8Array | undefined;
  #routing: RouterOptions;

  constructor(routing: RouterOptions, request: RoutedRequest, payload: Uint8Array) {
    this.#routing = routing;
    this.#request = request;
    this.#payload = payload;
  }

  /** The payload, once. */
  protected read(): Uint8Array {
    const payload = this.#payload;
    if (!payload) throw new RuntimeError("invalid_argument", "an answer is read once");
    this.#payload = undefined;
    return payload;
  }

  batches(): Batches<Item> {
    return new RoutedAnswer(this.#routing, this.#request, this.read()) as Batches<Item>; // Item is the caller's claim about the endpoint
  }

  async *[Symbol.asyncIterator](): AsyncGenerator<Item, void, void> {
    for await (const batch of this.batches()) yield* batch;
  }

  get requestId(): string {
    return this.#request.identity.requestId;
  }

  get instanceId(): string | undefined {
    return this.#request.reports.at(-1)?.instanceId;
  }

  get attempts(): number {
    return this.#request.reports.length;
  }

  get retries(): number {
    return this.#request.retries;
  }

  get resumptions(): number {
    return this.#request.resumptions;
  }

  get trailer(): Partial<Trailer> {
    return this.#request.reports.at(-1)?.trailer ?? {};
  }

  get reports(): readonly Readonly<AttemptReport>[] {
    return this.#request.reports;
  }
}

// Its request becomes bytes when interceptors are through with it.
class InterceptedItems<Item> extends RoutedItems<Item> {
  #batches: InterceptedBatches;

  constructor(routing: RouterOptions, routed: RoutedRequest, request: unknown, through: AnswerChain) {
    super(routing, routed, new Uint8Array());
    this.#batches = new InterceptedBatches(routing, routed, request, through);
  }

  override batches(): Batches<Item> {
    this.read();
    return this.#batches as Batches<unknown> as Batches<Item>; // as above
  }
}
