/** Who counts the tokens of prompts for a pool: those of its workers whose cards say so, at an endpoint of their own. */
import type { Client, Runtime } from "@dyn/runtime";
import { formatAddress, toCountAddress, type ModelJob, type ModelRecord, type TokenCount } from "@dyn/runtime/internal";

/** What it answers may be anybody's. */
export type CountClient = Client<ModelJob, Partial<TokenCount> | null>;

export interface Counter extends Disposable {
  /** Undefined if no worker of the pool counts. */
  readonly client: CountClient | undefined;
  /** In the place of the card of the same instance. */
  add(card: ModelRecord): void;
  remove(card: ModelRecord): void;
}

/** Create one without workers: no client is opened before a card asks for it. */
export function createCounter(runtime: Runtime): Counter {
  const counting = new Set<string>();
  let client: CountClient | undefined;
  const remove = ({ instance_id }: ModelRecord): void => {
    const id = instance_id.toString();
    counting.delete(id);
    client?.dismiss(id);
    if (counting.size > 0) return;
    client?.close();
    client = undefined;
  };
  return {
    get client() {
      return client;
    },
    add(card) {
      if (card.card_json.dyn_count_tokens !== true) return remove(card);
      const id = card.instance_id.toString();
      counting.add(id);
      // Which of them counts is all the same, and all may be asked again.
      client ??= runtime.client(formatAddress(toCountAddress(card)), { admittedOnly: true, retry: {} });
      client.admit(id);
    },
    remove,
    [Symbol.dispose]: () => client?.close(),
  };
}
