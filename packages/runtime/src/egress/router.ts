/** Sends a request to an instance; another instance gets it if nothing has been delivered yet. */
import { RuntimeError } from "../errors.ts";
import { Attempt, toAttemptError, type AttemptOptions, type Route } from "./attempt.ts";
import type { Pick } from "./pick.ts";

const maxAttempts = 3;

export interface RouterOptions extends AttemptOptions {
  readonly pick: Pick;
}

/** The arrays of items in which an answer arrived. Nothing is sent before the first `next`; `return` cancels the request. */
export interface Batches<Item> extends AsyncIterableIterator<Item[], void, void> {
  return(): Promise<IteratorResult<Item[], void>>;
}

const done: IteratorReturnResult<void> = { done: true, value: undefined };

/** An answer that may take several attempts. A class and no generator: each generator between socket and socket costs a batch several promises. */
export class RoutedAnswer implements Batches<unknown> {
  #options: RouterOptions;
  #route: Route;
  #tried = new Set<string>();
  #attempt: Attempt | undefined;
  #attempts = 0;
  #state: "new" | "running" | "over" = "new";

  constructor(options: RouterOptions, route: Route) {
    this.#options = options;
    this.#route = route;
  }

  /** The items that have arrived since the last call, at least one. @throws RuntimeError once no other instance may try. */
  async next(): Promise<IteratorResult<unknown[], void>> {
    while (this.#state !== "over") {
      try {
        const attempt = this.#attempt ?? (await this.#begin());
        const items = await attempt.next();
        if (items) return { done: false, value: items };
        this.#end(undefined);
      } catch (thrown) {
        this.#retryOrThrow(toAttemptError(thrown, this.#route.signal));
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

  async #begin(): Promise<Attempt> {
    const { signal, path } = this.#route;
    signal?.throwIfAborted();
    if (this.#state === "new") signal?.addEventListener("abort", this.#abort, { once: true });
    this.#state = "running";
    const instance = this.#options.pick(this.#route.candidates(), this.#tried);
    if (!instance) throw new RuntimeError("unavailable", `no instance serves ${path}`);
    const attempt = new Attempt(this.#options, this.#route, instance, this.#attempts);
    this.#attempts += 1;
    this.#attempt = attempt;
    await attempt.open();
    return attempt;
  }

  #retryOrThrow(failure: RuntimeError): void {
    const attempt = this.#attempt;
    if (!attempt || !this.#mayRetry(attempt, failure)) {
      this.#end(failure);
      throw failure;
    }
    attempt.close(failure);
    this.#attempt = undefined;
  }

  #mayRetry(attempt: Attempt, failure: RuntimeError): boolean {
    if (this.#state === "over" || attempt.delivered || this.#attempts >= maxAttempts || !failure.traits.retryable) return false;
    this.#tried.add(attempt.instance.id);
    return this.#route.candidates().some(({ id }) => !this.#tried.has(id));
  }

  #end(failure: RuntimeError | undefined): void {
    this.#state = "over";
    this.#route.signal?.removeEventListener("abort", this.#abort);
    this.#attempt?.close(failure);
  }

  #abort = (): void => this.#attempt?.kill(toAttemptError(undefined, this.#route.signal));
}
