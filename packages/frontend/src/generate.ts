/** From a model and a request to batches of deltas, counting and timing them on the way. */
import type { Delta, ModelRequest } from "@dyn/runtime/llm";
import type { Exchange } from "./exchange.ts";
import type { Model } from "./models.ts";
import type { RequestProgress } from "./request-log.ts";

/** Batches as they arrive. `progress` is filled in, also when the request fails or is cancelled. */
export async function* generate(
  model: Model,
  request: ModelRequest,
  exchange: Exchange,
  progress: RequestProgress,
  now: () => number,
): AsyncGenerator<Delta[], void, void> {
  const answer = model.client.generate(request, { identity: exchange.identity, signal: exchange.signal });
  try {
    for await (const batch of answer.batches()) {
      record(batch, progress, now());
      yield batch;
    }
  } finally {
    progress.workerId = answer.workerId;
    progress.attempts = answer.attempts;
  }
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
