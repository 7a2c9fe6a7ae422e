/** Asks the workers of a model for what a job is: its prefill first, if that is another worker's, then batches, within the deadlines. What becomes of them is the caller's affair. */
import { countJobTokens, type BegunChoice, type ModelJob } from "@dyn/runtime/internal";
import type { Delta } from "@dyn/runtime/llm";
import type { ModelClients } from "../models/pools.ts";
import { toOptions, type AskParts } from "./ask-options.ts";
import { askForPrefill } from "./prefill.ts";

/** What becomes of an answer on its way. */
export interface Receiver<Item = Delta> {
  /** Called with each batch and the time it came; a promise holds the answer until it resolves. */
  receive(batch: readonly Item[], at: number): Promise<void> | undefined;
  /** What another worker needs to know to go on; undefined = none can. */
  begun(): readonly BegunChoice[] | undefined;
  /** Nothing is left to ask for. */
  isWhole(): boolean;
}

/** Resolves after the last batch. What routers did is in the record, also when the request fails or is cancelled. */
export async function ask(
  job: ModelJob,
  { client, prefill, migrationLimit }: ModelClients,
  parts: AskParts,
  receiver: Receiver,
): Promise<void> {
  const { record } = parts.requestLog;
  try {
    const options = toOptions(parts, "x-worker-instance-id"); // what is wrong with it is no work for a prefill worker
    const whole = prefill ? { ...job, prefill: await askForPrefill(prefill, job, parts) } : job;
    let resumptionsLeft = migrationLimit;
    const resume = (): ModelJob | undefined => {
      const begun = resumptionsLeft-- > 0 ? receiver.begun() : undefined;
      return begun && { ...whole, begun };
    };
    const answer = client.generate(whole, { ...options, resume });
    record.answer = answer;
    await receiveAll(answer.batches(), parts, receiver);
  } finally {
    if (record.usage?.promptTokens === undefined) record.promptTokens = countJobTokens(job);
  }
}

/** All batches of an answer, within the deadlines. */
export async function receiveAll<Item>(
  batches: AsyncIterable<readonly Item[]>,
  { exchange, deadlines, now }: AskParts,
  receiver: Pick<Receiver<Item>, "receive" | "isWhole">,
): Promise<void> {
  let isOurs = false;
  try {
    for await (const batch of batches) {
      isOurs = true; // what fails from here to the end of the turn is no failure of a worker
      const at = now();
      deadlines.heard(at);
      const held = receiver.receive(batch, at);
      if (held) {
        deadlines.hold();
        await held;
        deadlines.heard(now());
      }
      isOurs = false;
    }
  } catch (error) {
    const isWhole = !isOurs && receiver.isWhole() && !exchange.signal.aborted; // only the worker's farewell is missing
    if (!isWhole) throw error;
  }
}
