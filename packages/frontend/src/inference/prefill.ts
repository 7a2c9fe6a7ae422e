/** The first half of a disaggregated request: what a prefill worker makes of each prompt. */
import { RuntimeError } from "@dyn/runtime";
import { assertDelta, payloadBytes, requestFactor, type ModelJob, type Prefill } from "@dyn/runtime/internal";
import type { ModelClient } from "../models/pools.ts";
import { toOptions, type AskParts } from "./ask-options.ts";

/** One result per prompt, however many completions each gets. @throws RuntimeError `protocol` for less, and for more than may be held. */
export async function askForPrefill(client: ModelClient, job: ModelJob, parts: AskParts): Promise<Prefill> {
  const results: unknown[] = Array.from({ length: job.prompts?.length ?? 1 });
  const keep = createKeeper(parts, results);
  const prompts = { ...job, n: 1 };
  const answer = client.generate(prompts, { ...toOptions(parts, "x-prefill-instance-id"), resume: onceAgain(prompts) });
  parts.requestLog.record.prefill = answer;
  for await (const batch of answer.batches()) {
    for (const delta of batch) {
      assertDelta(delta);
      const { prefillResult, choice = 0 } = delta;
      if (choice >= results.length)
        throw new RuntimeError("protocol", `the prefill worker answered for prompt ${choice} of ${results.length}`);
      if (prefillResult !== undefined) keep(choice, prefillResult);
    }
  }
  const missing = results.indexOf(undefined);
  if (missing >= 0)
    throw new RuntimeError("protocol", `the prefill worker gave no result for prompt ${missing} of ${results.length}`);
  const { seen } = answer.trailer;
  return { results, ...(seen && { traceId: seen.trace_id, spanId: seen.span_id }) };
}

// No client has had anything of the results of a worker that is lost: another one is asked for all of them. Once, for no request may take down more than two.
function onceAgain(prompts: ModelJob): () => ModelJob | undefined {
  let isAskedAgain = false;
  return () => {
    if (isAskedAgain) return undefined;
    isAskedAgain = true;
    return prompts;
  };
}

// Results are held beside the prompt until the answer is over: within the limit of an answer.
function createKeeper(
  { exchange: { memory }, maxAnswerBytes }: AskParts,
  results: unknown[],
): (choice: number, result: unknown) => void {
  const sizes = results.map(() => 0);
  let heldBytes = 0;
  return (choice, result) => {
    const [bytes, before = 0] = [payloadBytes(result), sizes[choice]];
    heldBytes += bytes - before;
    if (heldBytes > maxAnswerBytes)
      throw new RuntimeError(
        "protocol",
        `the prefill results are larger than ${maxAnswerBytes} bytes, the limit set by DYN_HTTP_ANSWER_LIMIT_MB`,
      );
    memory.take(requestFactor * bytes);
    memory.release(requestFactor * before);
    sizes[choice] = bytes;
    results[choice] = result;
  };
}
