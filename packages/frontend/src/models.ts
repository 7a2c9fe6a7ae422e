/** Which models exist: follows the cards in discovery and keeps one client per endpoint a model is served at. */
import { formatAddress, RuntimeError, type Client, type Logger, type ModelRecord, type Runtime, type Snapshot } from "@dyn/runtime";
import type { Delta, ModelJob } from "@dyn/runtime/llm";

export type ModelClient = Client<ModelJob, Delta>;

export interface Model {
  readonly name: string;
  /** Unix time in seconds at which this frontend first saw the model. */
  readonly created: number;
  readonly contextLength: number;
  readonly client: ModelClient;
}

export interface Models extends Disposable {
  list(): readonly Model[];
  /** @throws RuntimeError `not_found` for a name nobody serves, `unavailable` while its instances are not reachable. */
  find(name: string): Model;
  has(name: string): boolean;
}

interface Entry extends Model {
  readonly address: string;
  /** Decimal ids of the instances whose cards name this model. */
  readonly members: Set<string>;
}

export interface ModelsOptions {
  readonly runtime: Runtime;
  /** Empty = all. */
  readonly namespace: string;
  readonly log: Logger;
  /** Wall clock in ms. */
  readonly wallClock: () => number;
}

function isServable({ card_json: card }: ModelRecord): boolean {
  return card.model_input === "Text" && card.model_type.includes("Chat");
}

/** Start following. A model appears with its first card and goes with its last. */
export function followModels({ runtime, namespace, log, wallClock }: ModelsOptions): Models {
  const entries = new Map<string, Entry>();

  function add(record: ModelRecord): Entry {
    const { display_name: name, context_length: contextLength = 0 } = record.card_json;
    const address = formatAddress(record);
    const members = new Set<string>();
    const client = runtime.client<ModelJob, Delta>(address, { accepts: (id) => members.has(id) });
    const entry: Entry = { name, created: Math.floor(wallClock() / 1000), contextLength, client, address, members };
    entries.set(name, entry);
    log.info({ model: name, endpoint: address }, "model added");
    return entry;
  }

  function update(snapshot: Snapshot): void {
    const byModel = new Map<string, ModelRecord[]>();
    for (const record of snapshot.values()) {
      if (record.type !== "Model" || !isServable(record)) continue;
      if (namespace !== "" && record.namespace !== namespace) continue;
      const name = record.card_json.display_name;
      byModel.set(name, [...(byModel.get(name) ?? []), record]);
    }
    for (const [name, entry] of entries) {
      const records = byModel.get(name);
      if (records?.some((record) => formatAddress(record) === entry.address)) continue;
      entries.delete(name);
      entry.client[Symbol.dispose]();
      log.info({ model: name }, "model removed");
    }
    for (const [name, records] of byModel) setMembers(entries.get(name) ?? add(records[0] as ModelRecord), records); // the list has its first element
  }

  function setMembers({ members, address, client }: Entry, records: readonly ModelRecord[]): void {
    members.clear();
    for (const record of records) {
      if (formatAddress(record) === address) members.add(record.instance_id.toString());
      else
        log.debug(
          { instance_id: record.instance_id.toString(), endpoint: formatAddress(record) },
          "card ignored: the model is served at another endpoint",
        );
    }
    client.refresh();
  }

  const watch = runtime.discovery.watch("v1/mdc", update);
  return {
    list: () => [...entries.values()].sort((left, right) => (left.name < right.name ? -1 : 1)),
    has: (name) => entries.has(name),
    find(name) {
      const entry = entries.get(name);
      if (!entry) throw new RuntimeError("not_found", `model ${JSON.stringify(name.slice(0, 256))} does not exist`);
      if (entry.client.instances.length === 0)
        throw new RuntimeError("unavailable", `no instance serves model ${JSON.stringify(name)} at the moment`);
      return entry;
    },
    [Symbol.dispose]: () => watch[Symbol.dispose](),
  };
}
