/** Which models exist: follows the cards in discovery. */
import { RuntimeError, type Logger, type ModelCard, type ModelRecord, type RouterMode, type Runtime, type Snapshot } from "@dyn/runtime";
import type { WorkerRole } from "@dyn/runtime/llm";
import { createDeparted } from "./departed.ts";
import { createPools, type Pools, type Serving } from "./pools.ts";

export interface Model {
  readonly name: string;
  /** Unix time in seconds at which this frontend first saw the model. */
  readonly created: number;
  readonly contextLength: number;
  readonly kvCacheBlockSize: number;
  readonly migrationLimit: number;
}

export interface Models extends Disposable {
  /** Resolves once all cards that were there at the start are known. */
  readonly ready: Promise<void>;
  list(): readonly Model[];
  /** @throws RuntimeError `not_found` for a name nobody serves, `unavailable` if somebody did until just now. */
  find(name: string): Model;
  /** @throws RuntimeError `not_found` for a name nobody serves, `unavailable` while no instance of a role it needs is there. */
  serving(name: string): Serving;
  has(name: string): boolean;
}

interface Entry extends Model {
  readonly pools: Pools;
}

export interface ModelsOptions {
  readonly runtime: Runtime;
  /** Empty = all. */
  readonly namespace: string;
  readonly routerMode: RouterMode;
  readonly log: Logger;
  /** Wall clock in ms. */
  readonly wallClock: () => number;
}

/** Start following. A model appears with its first card and goes with its last; a card goes with its instance. */
export function followModels({ runtime, namespace, routerMode, log, wallClock }: ModelsOptions): Models {
  const entries = new Map<string, Entry>();
  const departed = createDeparted({ now: wallClock });

  function add(name: string, card: Partial<ModelCard> = {}): Entry {
    const { context_length: contextLength = 0, kv_cache_block_size: kvCacheBlockSize = 0, migration_limit: migrationLimit = 0 } = card;
    const created = Math.floor(wallClock() / 1000);
    const pools = createPools({ model: name, runtime, log, routerMode, onLeave });
    const entry: Entry = { name, created, contextLength, kvCacheBlockSize, migrationLimit, pools };
    entries.set(name, entry);
    departed.remove(name);
    return entry;
  }

  function find(name: string): Entry {
    const entry = entries.get(name);
    if (!entry) throw toMissing(name, departed.age(name));
    return entry;
  }

  let listed: Snapshot = new Map();
  let cards: Snapshot = listed;

  function update(): void {
    cards = withHeld(listed, cards, (record) => entries.get(record.card_json.display_name)?.pools.isInUse(record) ?? false);
    const grouped = groupCards(cards, namespace);
    for (const [name, its] of grouped) {
      const [[first] = []] = its.values();
      (entries.get(name) ?? add(name, first?.card_json)).pools.update(its);
    }
    for (const [name, { pools }] of entries) {
      if (!grouped.has(name)) pools.update(new Map());
      if (!pools.isEmpty) continue;
      entries.delete(name);
      departed.add(name);
    }
  }

  function onLeave(): void {
    if (cards !== listed) update(); // it may have been what a card was held for
  }

  const watch = runtime.discovery.watch("v1/mdc", (snapshot) => {
    listed = snapshot;
    update();
  });
  return {
    ready: watch.ready,
    list: () => [...entries.values()].sort((left, right) => (left.name < right.name ? -1 : 1)),
    has: (name) => entries.has(name),
    find,
    serving: (name) => find(name).pools.choose(),
    [Symbol.dispose]() {
      watch[Symbol.dispose]();
      for (const { pools } of entries.values()) pools[Symbol.dispose]();
      entries.clear();
    },
  };
}

function toMissing(name: string, age: number | undefined): RuntimeError {
  const shown = `model ${JSON.stringify(name.slice(0, 256))}`;
  if (age === undefined) return new RuntimeError("not_found", `${shown} does not exist: no worker has registered it, see GET /v1/models`);
  return new RuntimeError("unavailable", `${shown} has no worker at the moment, the last one left ${Math.round(age / 1000)} s ago`);
}

// A card that is gone while its instance is there and in use was lost, not withdrawn: workers that leave take both away.
function withHeld(listed: Snapshot, before: Snapshot, isInUse: (record: ModelRecord) => boolean): Snapshot {
  const held = [...before].filter(([key, record]) => !listed.has(key) && record.type === "Model" && isInUse(record));
  return held.length === 0 ? listed : new Map([...listed, ...held]);
}

type Cards = Map<WorkerRole, ModelRecord[]>;

function groupCards(snapshot: Snapshot, namespace: string): Map<string, Cards> {
  const grouped = new Map<string, Cards>();
  for (const record of snapshot.values()) {
    if (record.type !== "Model" || (namespace !== "" && record.namespace !== namespace)) continue;
    const role = roleOf(record);
    if (!role) continue;
    const name = record.card_json.display_name;
    const cards: Cards = grouped.get(name) ?? new Map();
    grouped.set(name, cards.set(role, [...(cards.get(role) ?? []), record]));
  }
  return grouped;
}

// Prefill cards have no model type: on their own they serve nothing, as in Dynamo.
function roleOf({ card_json: card }: ModelRecord): WorkerRole | undefined {
  if (card.model_input !== "Text") return undefined;
  if (card.worker_type === "prefill") return "prefill";
  if (!card.model_type.includes("Chat")) return undefined;
  return card.worker_type === "decode" ? "decode" : "aggregated";
}
