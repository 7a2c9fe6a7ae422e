/** From a model and a request to batches of deltas, counted and timed on the way. */
import type { Delta, ModelJob } from "@dyn/runtime/llm";
import type { Exchange } from "./exchange.ts";
import type { Model } from "./models.ts";
import type { RequestProgress } from "./request-log.ts";

/** What is done with each batch; a promise holds the stream until it resolves. */
export type OnBatch = (batch: readonly Delta[]) => Promise<void> | undefined;

/** Resolves after the last batch. `progress` is filled in, also when the request fails or is cancelled. */
export async function generate(model: Model, request: ModelJob, exchange: Exchange, parts: GenerateParts, onBatch: OnBatch): Promise<void> {
  const { progress, now } = parts;
  const answer = model.client.generate(request, { identity: exchange.identity, signal: exchange.signal });
  try {
    for await (const batch of answer.batches()) {
      record(batch, progress, now());
      const held = onBatch(batch);
      if (held) await held;
    }
  } finally {
    progress.workerId = answer.workerId;
    progress.attempts = answer.attempts;
  }
}

export interface GenerateParts {
  readonly progress: RequestProgress;
  /** Monotonic clock, ms. */
  readonly now: () => number;
}

function record(batch: readonly Delta[], progress: RequestProgress, at: number): void {
  let tokens = 0;
  for (const { text, tokenIds, usage } of batch) {
    tokens += tokenIds?.length ?? (text === "" ? 0 : 1);
    if (!usage) continue;
    progress.inputTokens = usage.promptTokens;
    progress.outputTokens = usage.completionTokens - tokens;
  }
  if (tokens > 0) {
    progress.firstTokenAt ??= at;
    progress.lastTokenAt = at;
  }
  progress.outputTokens += tokens;
}
