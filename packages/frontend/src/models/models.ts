/** Which models exist: follows the cards in discovery. */
import { RuntimeError, type RouterMode, type Runtime } from "@dyn/runtime";
import type { Change, ModelRecord, Logger } from "@dyn/runtime/internal";
import type { CountClient } from "./counter.ts";
import { roleOf, type CardFacts } from "./cards.ts";
import { createRecentlyGone, type RecentlyGone } from "./recently-gone.ts";
import { createPools, type ModelClient, type ModelClients, type Pools } from "./pools.ts";

export interface Model extends CardFacts {
  readonly name: string;
  /** Unix time in seconds: since when the first of its workers serves it, or, if no card says, when this frontend first saw it. */
  readonly created: number;
}

export interface Models extends Disposable {
  /** Resolves once all cards that were there at the start are known. */
  readonly ready: Promise<void>;
  /** By name; a new array after every change. */
  list(): readonly Model[];
  /** @throws RuntimeError `not_found` for a name nobody serves, `unavailable` if somebody did until just now. */
  find(name: string): Model;
  /** @throws RuntimeError `not_found` for a name nobody serves, `unavailable` while no instance of a role it needs is there. */
  clientsOf(name: string): ModelClients;
  /** Whom to ask for embeddings. @throws RuntimeError `not_found`, `unavailable` as `clientsOf`, `unimplemented` if the model makes none. */
  embedderOf(name: string): ModelClient;
  /** Whom to ask for the tokens of a prompt. Undefined if none of its workers counts. @throws RuntimeError `not_found`, `unavailable` as `find`. */
  counterOf(name: string): CountClient | undefined;
  has(name: string): boolean;
}

export interface ModelsOptions {
  readonly runtime: Runtime;
  /** Empty = all. */
  readonly namespace: string;
  readonly routerMode: RouterMode;
  readonly log: Logger;
  /** Wall clock in ms. */
  readonly wallClock: () => number;
  /** Monotonic clock in ms. */
  readonly now: () => number;
}

/** Start following. A model appears with its first card and goes with its last; a card goes with its instance. */
export function followModels(options: ModelsOptions): Models {
  const models = new FollowedModels(options);
  const watch = options.runtime.discovery.watch("v1/mdc", (changes) => models.apply(changes));
  return {
    ready: watch.ready,
    list: () => models.list(),
    has: (name) => models.has(name),
    find: (name) => models.find(name).model,
    counterOf: (name) => models.find(name).pools.counter(),
    embedderOf: (name) => models.find(name).pools.embedder(),
    clientsOf: (name) => models.find(name).pools.choose(),
    [Symbol.dispose]() {
      watch[Symbol.dispose]();
      models[Symbol.dispose]();
    },
  };
}

interface Entry {
  readonly pools: Pools;
  /** Unix time in seconds. */
  readonly seenAt: number;
  model: Model;
}

// A change costs what has changed: the models whose cards came or went.
class FollowedModels implements Disposable {
  #options: ModelsOptions;
  #recentlyGone: RecentlyGone;
  #entries = new Map<string, Entry>();
  #listed: readonly Model[] | undefined;
  /** All that count, by key. */
  #cards = new Map<string, ModelRecord>();
  /** Of these, the keys of those that are lost while their instance is in use. Workers that leave take both away. */
  #held = new Map<ModelRecord, string>();

  constructor(options: ModelsOptions) {
    this.#options = options;
    this.#recentlyGone = createRecentlyGone({ now: options.now });
  }

  apply(changes: readonly Change[]): void {
    const touched = new Set<string>();
    for (const { key, record } of changes) {
      const before = this.#cards.get(key);
      if (before && !record && this.#entryOf(before).pools.isInUse(before)) this.#held.set(before, key);
      else this.#replace(key, record?.type === "Model" && this.#isWanted(record) ? record : undefined, touched);
    }
    for (const name of touched) this.#settle(name);
  }

  list(): readonly Model[] {
    this.#listed ??= Array.from(this.#entries.values(), ({ model }) => model).sort((left, right) =>
      left.name < right.name ? -1 : 1,
    );
    return this.#listed;
  }

  has(name: string): boolean {
    return this.#entries.has(name);
  }

  find(name: string): Entry {
    const entry = this.#entries.get(name);
    if (!entry) throw toMissing(name, this.#recentlyGone.age(name));
    return entry;
  }

  #isWanted(card: ModelRecord): boolean {
    const { namespace } = this.#options;
    return roleOf(card) !== undefined && (namespace === "" || card.namespace === namespace);
  }

  #entryOf({ card_json: { display_name: name } }: ModelRecord): Entry {
    const known = this.#entries.get(name);
    if (known) return known;
    const { runtime, log, routerMode, wallClock } = this.#options;
    const pools = createPools({ runtime, log, routerMode, model: name, onLeave: (card) => this.#left(card) });
    const seenAt = Math.floor(wallClock() / 1000);
    const entry = { pools, seenAt, model: toModel(name, pools, seenAt) };
    this.#entries.set(name, entry);
    this.#recentlyGone.remove(name);
    return entry;
  }

  // Whose names are `touched` must be settled.
  #replace(key: string, card: ModelRecord | undefined, touched: Set<string>): void {
    const before = this.#cards.get(key);
    if (before) this.#held.delete(before);
    if (card === before) return; // it was held, and is back
    this.#cards.delete(key);
    if (card) {
      this.#cards.set(key, card);
      this.#entryOf(card).pools.add(card); // before the other goes: its worker stays in use
      touched.add(card.card_json.display_name);
    }
    if (before) {
      this.#entryOf(before).pools.remove(before);
      touched.add(before.card_json.display_name);
    }
  }

  // An instance is not asked any more: it may have been what a card was held for.
  #left(card: ModelRecord): void {
    const key = this.#held.get(card);
    if (key === undefined) return;
    const touched = new Set<string>();
    this.#replace(key, undefined, touched);
    for (const name of touched) this.#settle(name);
  }

  #settle(name: string): void {
    const entry = this.#entries.get(name);
    if (!entry) return;
    const { pools, seenAt } = entry;
    const left = pools.settle();
    entry.model = toModel(name, pools, seenAt);
    this.#listed = undefined;
    if (pools.isEmpty) {
      this.#entries.delete(name);
      this.#recentlyGone.add(name);
    }
    for (const card of left) this.#left(card);
  }

  [Symbol.dispose](): void {
    for (const { pools } of this.#entries.values()) pools[Symbol.dispose]();
    this.#entries.clear();
  }
}

function toModel(name: string, { facts }: Pools, seenAt: number): Model {
  return { name, ...facts, created: facts.created || seenAt };
}

function toMissing(name: string, age: number | undefined): RuntimeError {
  const shown = `model ${JSON.stringify(name.slice(0, 256))}`;
  if (age === undefined)
    return new RuntimeError("not_found", `${shown} does not exist: no worker has registered it, see GET /v1/models`);
  return new RuntimeError(
    "unavailable",
    `${shown} has no worker at the moment, the last one left ${Math.round(age / 1000)} s ago`,
  );
}
