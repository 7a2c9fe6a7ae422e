/** From a job for embeddings to its vectors, as its API writes them. */
import { RuntimeError } from "@dyn/runtime";
import { isCount, isVector, textFactor, type ModelJob } from "@dyn/runtime/internal";
import type { Delta, Usage } from "@dyn/runtime/llm";
import { ask } from "./ask.ts";
import type { AskParts } from "./ask-options.ts";

/** What becomes of an answer. */
export interface EmbedOptions {
  /** JSON of a vector, which is given as 32-bit floats, little-endian. */
  readonly write: (vector: Uint8Array) => string;
  /** The error of an answer that is larger than the limit; `bytes` are those of one vector. */
  readonly toExcess: (bytes: number, maxBytes: number) => RuntimeError;
}

/** The whole answer. */
export interface Embedded {
  /** JSON of each, in the order of the inputs. */
  readonly vectors: readonly string[];
  readonly usage: Usage;
}

/** Another worker is asked for all of them once, if one is lost: no request may take down more than two. */
const migrationLimit = 1;

/** Resolves after the last vector. @throws RuntimeError `protocol` for what is no answer; that of `toExcess`; `overloaded` if there is no memory for it. */
export async function embed(job: ModelJob, parts: AskParts, { write, toExcess }: EmbedOptions): Promise<Embedded> {
  const { exchange, requestLog, models, maxAnswerBytes } = parts;
  const client = models.embedderOf(job.model);
  const inputs = job.prompts?.length ?? 1;
  const vectors: string[] = Array.from({ length: inputs }, () => "");
  let [heldBytes, missing] = [0, inputs];
  let usage: Usage | undefined;
  const keep = ({ choice = 0, embedding }: Delta): void => {
    const before = vectors[choice];
    if (before === undefined || !isVector(embedding))
      throw new RuntimeError("protocol", `the worker sent no vector for one of ${inputs} inputs`);
    const vector = write(embedding);
    heldBytes += vector.length - before.length;
    if (heldBytes > maxAnswerBytes) throw toExcess(vector.length, maxAnswerBytes);
    if (before === "") missing -= 1;
    exchange.memory.take(textFactor * (vector.length - before.length)); // until the joined text is out
    vectors[choice] = vector;
  };
  await ask(job, { client, prefill: undefined, migrationLimit, capabilities: none }, parts, {
    receive(batch, at) {
      for (const delta of batch) {
        keep(delta);
        usage = toUsage(delta.usage) ?? usage;
      }
      requestLog.received(0, usage, at);
      return undefined;
    },
    begun: () => [], // nothing is taken over
    isWhole: () => missing === 0 && usage !== undefined,
  });
  if (missing > 0 || !usage)
    throw new RuntimeError("protocol", `the worker ended its answer with ${missing} of ${inputs} vectors missing`);
  return { vectors, usage };
}

const none: ReadonlySet<string> = new Set();

function toUsage(given: Delta["usage"]): Usage | undefined {
  const promptTokens: unknown = given?.promptTokens;
  return isCount(promptTokens) ? { promptTokens, completionTokens: 0 } : undefined;
}
