/** An answer that is read through interceptors. */
import type { Logger as Pino } from "pino";
import { RuntimeError } from "../errors.ts";
import { isAsyncIterable } from "../given-items.ts";
import { orAborted } from "../lifetime.ts";
import type { Chain, InterceptedCall, RawCall } from "../interceptors.ts";
import type { Logger } from "../logging/logger.ts";
import { toLogFields } from "../trace/identity.ts";
import { streamPayload } from "../wire/messages.ts";
import { encodePayload } from "../wire/payload.ts";
import { toAttemptError } from "./attempt-outcome.ts";
import type { RoutedRequest } from "./routed-request.ts";
import { RoutedAnswer, type Batches, type RouterOptions } from "./router.ts";
import { Upload } from "./upload.ts";

const done: IteratorReturnResult<void> = { done: true, value: undefined };

/** What the requests of a client go through. */
export interface AnswerChain {
  readonly chain: Chain;
  /** `dyn://namespace.component.endpoint`. */
  readonly address: string;
  readonly log: Logger;
}

/** Arrays of one item, as interceptors give them. The request ends when these end, whatever they have left unread. */
export class InterceptedBatches implements Batches<unknown> {
  #routing: RouterOptions;
  #routed: RoutedRequest;
  #request: unknown;
  #through: AnswerChain;
  #left = new AbortController();
  #items: AsyncIterator<unknown> | undefined;
  #sent: Batches<unknown> | undefined;
  #isOver = false;

  constructor(routing: RouterOptions, routed: RoutedRequest, request: unknown, through: AnswerChain) {
    this.#routing = routing;
    this.#routed = routed;
    this.#request = request;
    this.#through = through;
  }

  async next(): Promise<IteratorResult<unknown[], void>> {
    if (this.#isOver) return done;
    try {
      this.#items ??= this.#begin();
      const result = await orAborted(this.#items.next(), this.#routed.signal); // whatever an interceptor waits for
      if (!result.done) return { done: false, value: [result.value] };
    } catch (thrown) {
      const failure = toAttemptError(thrown, this.#routed.signal);
      this.#end(failure);
      throw failure;
    }
    this.#end(undefined);
    return done;
  }

  async return(): Promise<IteratorResult<unknown[], void>> {
    if (this.#isOver) return done;
    this.#end(new RuntimeError("cancelled", "the reader left")); // first: an interceptor that waits must not keep the worker busy
    try {
      await this.#items?.return?.();
    } catch (thrown) {
      throw toAttemptError(thrown, undefined);
    }
    return done;
  }

  [Symbol.asyncIterator](): this {
    return this;
  }

  #begin(): AsyncIterator<unknown> {
    const { chain, address, log } = this.#through;
    const { identity, signal: asked } = this.#routed;
    const left = this.#left.signal;
    const signal = asked ? AbortSignal.any([asked, left]) : left;
    const openLog = (): Pino =>
      log.child({ requestId: identity.requestId, fields: () => toLogFields(identity, "client_request") }).pino;
    const call: RawCall = { side: "client", address, request: this.#request, ...identity, signal };
    this.#request = undefined; // not held for as long as its answer
    return chain(call, openLog, (passed) => this.#send(passed))[Symbol.asyncIterator]();
  }

  // What interceptors have made of the call.
  #send({ side, request, baggage }: InterceptedCall): AsyncIterable<unknown> {
    this.#left.signal.throwIfAborted(); // one has thought about it for longer than the reader has waited
    if (side === "server") throw new RuntimeError("internal", "an interceptor gave `next` a call of a server");
    const { baggage: _, ...ids } = this.#routed.identity;
    this.#routed.identity = baggage === undefined ? ids : { ...ids, baggage };
    const upload = isAsyncIterable(request) ? new Upload(request) : undefined;
    this.#routed.upload = upload;
    this.#sent = new RoutedAnswer(this.#routing, this.#routed, upload ? streamPayload : encodePayload(request));
    return flatten(this.#sent);
  }

  #end(failure: RuntimeError | undefined): void {
    this.#isOver = true;
    if (failure) this.#left.abort(failure);
    void this.#sent?.return(); // cancels what is not over
  }
}

async function* flatten(batches: Batches<unknown>): AsyncGenerator<unknown, void, void> {
  for await (const batch of batches) yield* batch;
}
