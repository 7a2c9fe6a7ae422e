/** Sends a request to an instance; if that fails, another gets it, or the rest of it where the caller can say what the rest is. */
import type { Instance } from "../discovery/instance.ts";
import { RuntimeError } from "../errors.ts";
import { toRuntimeError } from "../thrown.ts";
import { waitMs } from "../lifetime.ts";
import { endSpan, noSpan, toOutcome, type Span } from "../trace/spans.ts";
import { pickByKey } from "./affinity.ts";
import { isUnreachable, toAttemptError } from "./attempt-outcome.ts";
import { Attempt, type AttemptOptions } from "./attempt.ts";
import type { RoutedRequest } from "./routed-request.ts";
import { Losses } from "./losses.ts";
import type { Pick } from "./pick.ts";
import { isTriedAgain, maxAttempts, retryWaitMs, type RetryBudget } from "./retry.ts";

/** What all requests of a client share. */
export interface RouterOptions extends AttemptOptions {
  readonly pick: Pick;
  readonly budget: RetryBudget;
  /** From 0 to 1, for the jitter of waits. */
  readonly random: () => number;
}

/** The arrays of items in which an answer arrived. Nothing is sent before the first `next`; `return` cancels the request. */
export interface Batches<Item> extends AsyncIterableIterator<Item[], void, void> {
  return(): Promise<IteratorResult<Item[], void>>;
}

const done: IteratorReturnResult<void> = { done: true, value: undefined };

/** An answer that may take several attempts. A class and no generator: each generator between socket and socket costs a batch several promises. */
export class RoutedAnswer implements Batches<unknown> {
  #options: RouterOptions;
  #request: RoutedRequest;
  #tried = new Set<string>();
  #attempt: Attempt | undefined;
  #attempts = 0;
  #hasBegun = false; // items have been delivered
  #fruitless = 0; // attempts in a row
  #unsent = 0; // of these, those that cost no worker anything
  #losses = new Losses();
  #payload: Uint8Array | undefined;
  #span: Span = noSpan;
  #state: "new" | "running" | "over" = "new";

  constructor(options: RouterOptions, request: RoutedRequest, payload: Uint8Array) {
    this.#options = options;
    this.#request = request;
    this.#payload = payload;
  }

  /** The items that have arrived since the last call, at least one. @throws RuntimeError once no other instance may try. */
  async next(): Promise<IteratorResult<unknown[], void>> {
    while (this.#state !== "over") {
      try {
        const attempt = this.#attempt ?? this.#begin();
        const items = await attempt.next();
        if (items) {
          attempt.received();
          this.#hasBegun = true;
          this.#payload = undefined; // from here on only the rest can be asked for: a long prompt is not held for a long answer
          return { done: false, value: items };
        }
        this.#end(undefined);
      } catch (thrown) {
        await this.#retryOrThrow(toAttemptError(thrown, this.#request.signal));
      }
    }
    return done;
  }

  return(): Promise<IteratorResult<unknown[], void>> {
    if (this.#state !== "over") this.#end(new RuntimeError("cancelled", "the reader left"));
    return Promise.resolve(done);
  }

  [Symbol.asyncIterator](): this {
    return this;
  }

  #begin(): Attempt {
    const { signal, path } = this.#request;
    if (this.#state === "new" && this.#request.isOwnSpan)
      this.#span = this.#options.tracer.startSpan("client_request", "internal", this.#request.identity.trace);
    signal?.throwIfAborted();
    if (this.#state === "new") {
      signal?.addEventListener("abort", this.#abort, { once: true });
      this.#options.budget.deposit();
    }
    this.#state = "running";
    const instance = this.#choose();
    if (!instance) throw this.#noInstance(path);
    const attempt = new Attempt(this.#options, this.#request, instance, this.#attempts);
    if (this.#hasBegun) this.#request.resumptions += 1;
    else if (this.#attempts > 0) this.#request.retries += 1;
    this.#attempts += 1;
    this.#attempt = attempt;
    if (!this.#payload) throw new RuntimeError("internal", "an attempt begins with nothing to send");
    attempt.open(this.#payload);
    return attempt;
  }

  // An instance that is named is asked, or nobody. If nobody is well, whoever is there may try: a circuit must not turn a fault into an outage.
  #choose(): Instance | undefined {
    const { pick, health, mode } = this.#options;
    const { wanted, affinityKey } = this.#request;
    const all = this.#request.candidates();
    const untried = this.#tried.size === 0 ? all : all.filter(({ key }) => !this.#tried.has(key));
    if (wanted !== undefined) return untried.find(({ id }) => id === wanted);
    const input = { instances: this.#keepWell(untried), loadOf: (key: string) => health.loadOf(key) };
    return affinityKey === undefined || mode === "direct" ? pick(input) : pickByKey(affinityKey, input);
  }

  // A first attempt may be the probe of an instance that has failed; one that has been disappointed goes where nobody has.
  #keepWell(instances: readonly Instance[]): readonly Instance[] {
    const { health } = this.#options;
    const isProven = ({ key }: Instance): boolean => health.isProven(key);
    if (instances.every(isProven)) return instances;
    const proven = this.#attempts === 0 ? [] : instances.filter(isProven);
    if (proven.length > 0) return proven;
    const well = instances.filter(({ key }) => health.isWell(key));
    return well.length > 0 ? well : instances;
  }

  #noInstance(path: string): RuntimeError {
    const { wanted } = this.#request;
    const toError = (what: string): RuntimeError =>
      new RuntimeError("unavailable", `${what} ${path}`, { publicMessage: `${what} the endpoint` });
    if (wanted !== undefined) return toError(`instance ${wanted} does not serve`);
    if (this.#options.mode !== "direct") return toError("no instance serves");
    return new RuntimeError("invalid_argument", "the policy is direct, and the request names no instance");
  }

  async #retryOrThrow(failure: RuntimeError): Promise<void> {
    const attempt = this.#attempt;
    try {
      if (!attempt || !this.#mayRetry(attempt, failure))
        throw this.#losses.toEnd(failure, this.#request.identity.requestId);
    } catch (thrown) {
      attempt?.close(failure);
      const end = toRuntimeError(thrown); // the failure, what it comes to, or what the caller's `resume` has thrown
      if (end.code === "poisoned") this.#tellPoison(end, attempt);
      this.#end(end);
      throw end;
    }
    attempt.close(failure);
    this.#attempt = undefined;
    try {
      await waitMs(retryWaitMs(this.#request.retry, this.#fruitless, this.#options.random), this.#request.signal);
    } catch (thrown) {
      const reason = toAttemptError(thrown, this.#request.signal);
      this.#end(reason);
      throw reason;
    }
  }

  // With something delivered, only the caller knows what is left to ask for.
  #mayRetry(attempt: Attempt, failure: RuntimeError): boolean {
    this.#count(attempt);
    this.#losses.add(attempt, failure);
    if (this.#losses.isPoison || this.#state === "over" || this.#isSpent) return false;
    const { retry } = this.#request;
    if (!this.#isWhole || !isTriedAgain(retry, failure, attempt)) return false;
    if (attempt.delivered) this.#tried.clear(); // those before it failed long ago
    this.#tried.add(attempt.instance.key);
    if (this.#request.wanted !== undefined || !this.#request.candidates().some(({ key }) => !this.#tried.has(key)))
      return false;
    const payload = attempt.delivered ? this.#request.resume?.() : this.#payload;
    if (!payload || !this.#isPaid(attempt, failure)) return false;
    this.#payload = payload;
    return true;
  }

  #count({ delivered, isSent }: Attempt): void {
    this.#fruitless = delivered ? 1 : this.#fruitless + 1;
    this.#unsent = delivered ? 0 : this.#unsent + (isSent ? 0 : 1);
  }

  // A fleet that is replaced may have more instances that are gone than attempts. Who wants one attempt gets one.
  get #isSpent(): boolean {
    const { attempts } = this.#request.retry;
    const spent = attempts === 1 ? this.#fruitless : this.#fruitless - this.#unsent;
    return spent >= attempts || this.#attempts >= maxAttempts;
  }

  // False once some of a request in pieces has been read: nobody can have that again.
  get #isWhole(): boolean {
    return this.#request.upload?.hasBegun !== true;
  }

  // The budget keeps refusals from multiplying the load. What a lost instance had under way is no more load than before, however much it was,
  // what was never sent, as to one that drains, is none, and an answer that has begun is limited by its caller.
  #isPaid({ delivered, isSent }: Attempt, failure: RuntimeError): boolean {
    return delivered || !isSent || isUnreachable(failure) || this.#options.budget.withdraw();
  }

  #tellPoison({ code, message: error }: RuntimeError, attempt: Attempt | undefined): void {
    const { metrics, log } = this.#options;
    const { identity, path: endpoint } = this.#request;
    metrics.poisoned.inc();
    const scope = log.child({ target: "dyn_runtime::egress", requestId: identity.requestId });
    const fields = {
      endpoint,
      attempts: this.#attempts,
      lost_workers: this.#losses.workers.join(","),
      "error.type": code,
      error,
    };
    scope.warn({ ...attempt?.ids, ...fields }, "request refused, its workers were lost while they ran it");
  }

  #end(failure: RuntimeError | undefined): void {
    this.#state = "over";
    this.#request.signal?.removeEventListener("abort", this.#abort);
    this.#attempt?.close(failure);
    this.#request.upload?.stop();
    this.#endSpan(failure);
  }

  #endSpan(failure: RuntimeError | undefined): void {
    const { identity, path, reports } = this.#request;
    if (this.#span.isRecording) {
      const { requestId: request_id, xRequestId: x_request_id } = identity;
      this.#span.setAttributes({
        operation: path,
        request_id,
        x_request_id,
        worker_id: reports.at(-1)?.instanceId,
        attempts: reports.length,
      });
    }
    endSpan(this.#span, failure, toOutcome(failure));
  }

  #abort = (): void => this.#attempt?.kill(toAttemptError(undefined, this.#request.signal));
}
