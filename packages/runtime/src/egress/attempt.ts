/** One try of a request at one instance: a stream, a span with its line, and the comparison of the ids the worker saw. */
import type { Instance } from "../discovery/instance.ts";
import { roundMs } from "../durations.ts";
import { RuntimeError } from "../errors.ts";
import { orAborted } from "../lifetime.ts";
import type { Logger } from "../logging/logger.ts";
import type { RuntimeMetrics } from "../metrics/runtime-metrics.ts";
import { compareLineage, toLogFields, toPlaneHeaders, type Identity } from "../trace/identity.ts";
import { addForwarded } from "../trace/request-headers.ts";
import { endSpan, type Span, type Tracer } from "../trace/spans.ts";
import { childSpan } from "../trace/traceparent.ts";
import { toAttemptOutcome, toOpenedMessage, toVerdict, type AttemptOutcome } from "./attempt-outcome.ts";
import type { AttemptReport, RoutedRequest } from "./routed-request.ts";
import type { Health } from "./health.ts";
import type { Peers } from "./peers.ts";
import type { Choosing } from "./pick.ts";
import type { ClientConnection } from "./client-connection.ts";
import type { ClientStream } from "./client-stream.ts";

/** What all attempts of a client share. `now` is a monotonic clock, ms. */
export interface AttemptOptions {
  readonly peers: Peers;
  readonly health: Health;
  readonly mode: Choosing["mode"];
  readonly metrics: RuntimeMetrics;
  readonly log: Logger;
  readonly tracer: Tracer;
  readonly now: () => number;
}

const spanName = "router.route_request";
const maxDeadlineMs = 0xffff_ffff;

/** Whoever creates one closes it. */
export class Attempt {
  readonly instance: Instance;
  #options: AttemptOptions;
  #request: RoutedRequest;
  #report: AttemptReport;
  #identity: Identity;
  #span: Span;
  #stream: ClientStream | undefined;
  /** Until `next` waits for it. */
  #dialling: Promise<ClientStream> | undefined;
  #closed = false;
  #sentAt: number | undefined;

  constructor(options: AttemptOptions, request: RoutedRequest, instance: Instance, number: number) {
    this.#options = options;
    this.#request = request;
    this.#identity = { ...request.identity, trace: childSpan(request.identity.trace) };
    this.#span = options.tracer.startSpan(spanName, "client", this.#identity.trace);
    this.instance = instance;
    this.#report = {
      number,
      instanceId: instance.id,
      spanId: this.#identity.trace.spanId,
      startedAt: options.now(),
      endedAt: undefined,
      isSent: false,
      outcome: undefined,
      failure: undefined,
      trailer: {},
    };
    request.reports.push(this.#report);
    options.metrics.inflight.inc();
    options.health.begin(instance.key);
  }

  /** Send the request, or what is left of it: at once, or when the worker has been dialled. @throws RuntimeError if that fails; of dialling, `next` does. */
  open(payload: Uint8Array): void {
    const peer = this.#options.peers.get(this.instance);
    if (!(peer instanceof Promise)) this.#send(peer, payload);
    else this.#dialling = orAborted(peer, this.#request.signal).then((client) => this.#send(client, payload));
  }

  #send(client: ClientConnection, payload: Uint8Array): ClientStream {
    if (this.#closed) throw new RuntimeError("cancelled", "the reader left while the worker was dialled");
    const { metrics, now } = this.#options;
    const { path, deadlineAt, headers: forwarded } = this.#request;
    const headers = toPlaneHeaders(this.#identity);
    if (forwarded) addForwarded(headers, forwarded);
    const stream = client.open({
      path,
      headers,
      attempt: this.#report.number,
      deadlineMs: deadlineAt === undefined ? 0 : Math.min(Math.max(1, Math.ceil(deadlineAt - now())), maxDeadlineMs),
      credit: this.#request.windowBytes,
      payload,
    });
    this.#sentAt = now();
    metrics.queue.observe((this.#sentAt - this.#report.startedAt) / 1000);
    this.#report.isSent = true;
    if (this.#span.isRecording) this.#span.addEvent("dispatched", this.#sentAt);
    this.#stream = stream;
    void this.#request.upload?.sendOver(stream);
    return stream;
  }

  /** The ids that lines about it carry. */
  get ids(): Readonly<Record<string, string>> {
    return toLogFields(this.#identity, spanName);
  }

  /** False if it has cost no worker anything. */
  get isSent(): boolean {
    return this.#report.isSent;
  }

  /** True once an item has been read: another instance would say it again. */
  get delivered(): boolean {
    return this.#stream?.produced ?? false;
  }

  /** The items that have arrived, at least one; undefined after the last. Rejects with a RuntimeError, or the signal's reason while it still dials. */
  next(): Promise<unknown[] | undefined> {
    const dialling = this.#dialling;
    this.#dialling = undefined;
    if (dialling) return dialling.then((stream) => stream.next());
    return this.#stream?.next() ?? Promise.resolve(undefined);
  }

  /** Items have been read: the first ones end the round trip. */
  received(): void {
    if (this.#sentAt === undefined) return;
    const { metrics, now } = this.#options;
    metrics.roundtripTtft.observe((now() - this.#sentAt) / 1000);
    this.#sentAt = undefined;
    if (this.#options.health.answered(this.instance.key)) this.#logCircuit("closed", undefined);
  }

  /** End the stream here and now; a `next` under way rejects with `reason`. */
  kill(reason: RuntimeError): void {
    if (this.#stream && !this.#stream.isEnded) this.#stream.cancel("kill", reason);
  }

  /** End the span: `failure` is why it did not go well. Idempotent. */
  close(failure: RuntimeError | undefined): void {
    if (this.#closed) return;
    this.#closed = true;
    if (failure) this.kill(failure);
    this.#stream?.[Symbol.dispose]();
    this.#report.endedAt = this.#options.now();
    this.#report.outcome = toAttemptOutcome(failure);
    this.#report.failure = failure;
    this.#options.metrics.inflight.dec();
    this.#judge(failure);
    this.#checkLineage();
    this.#endSpan(this.#report.outcome, failure);
    this.#log(this.#report.outcome, failure);
  }

  #judge(failure: RuntimeError | undefined): void {
    const change = this.#options.health.end(this.instance.key, toVerdict(failure));
    if (change) this.#logCircuit(change, failure);
  }

  #logCircuit(change: "opened" | "closed", failure: RuntimeError | undefined): void {
    const log = this.#options.log.child({ target: "dyn_runtime::egress" });
    const fields = { instance_id: this.instance.id, endpoint: this.#request.path };
    if (change === "opened") log.warn({ ...fields, error: failure?.message }, toOpenedMessage(failure));
    else log.info(fields, "instance answers again, its circuit is closed");
  }

  // The worker says which ids it saw. A worker that never answered has nothing to compare.
  #checkLineage(): void {
    if (!this.#stream) return;
    const { trailer } = this.#stream;
    this.#report.trailer = trailer;
    if (!trailer.seen) return;
    const mismatch = compareLineage(this.#identity, this.instance.id, this.#report.number, trailer.seen);
    if (mismatch.length === 0) return;
    this.#options.metrics.lineageMismatch.inc();
    const fields = { mismatch: mismatch.join(","), seen: trailer.seen, worker_id: this.instance.id };
    this.#options.log.summed("warn", { ...this.ids, ...fields }, "worker saw other ids than were sent", {
      kind: this.instance.id,
    });
  }

  #endSpan(outcome: AttemptOutcome, failure: RuntimeError | undefined): void {
    if (this.#span.isRecording) {
      const { requestId: request_id, xRequestId: x_request_id } = this.#identity;
      const { number } = this.#report;
      const attempt = { "request.attempt": number, "migration.is_retry": number > 0 };
      this.#span.setAttributes({
        request_id,
        x_request_id,
        router_mode: this.#options.mode,
        worker_id: this.instance.id,
        ...attempt,
      });
    }
    endSpan(this.#span, failure, outcome);
  }

  #log(outcome: AttemptOutcome, failure: RuntimeError | undefined): void {
    // Of a request that a program makes itself this is the only line; where there is another, that names the attempt that answered.
    const event = this.#request.isOwnSpan ? "request_completed" : "route_request";
    const isFailed = failure !== undefined && failure.code !== "cancelled";
    const what = isFailed ? "warn" : event;
    if (!this.#options.log.isEnabled(what)) return; // as most are not: no logger is made for those
    const log = this.#options.log.child({ requestId: this.#identity.requestId });
    if (!log.isEnabled(what)) return;
    const { number, startedAt, endedAt = startedAt, isSent } = this.#report;
    const fields = {
      ...this.ids,
      elapsed_ms: roundMs(endedAt - startedAt),
      // No line tells of a call's own span: the caller's stands here instead.
      caller_span_id: this.#request.callerSpanId,
      "otel.kind": "client",
      "request.attempt": number,
      "request.outcome": outcome,
      ...(!isSent && { "request.sent": false }),
      router_mode: this.#options.mode,
      worker_id: this.instance.id,
    };
    const error = isFailed && { "error.type": failure.code, error: failure.message };
    if (error) log.event(event, { ...fields, ...error }, "route request failed", "warn");
    else log.event(event, fields, failure ? "route request cancelled" : "route request completed");
  }
}
