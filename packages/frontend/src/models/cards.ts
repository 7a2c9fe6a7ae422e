/** What the cards of one model come to. It follows from the cards that are there, not from the order they came in: every frontend shows the same. */
import type { WorkerRole } from "@dyn/runtime/llm";
import { formatAddress, type ModelCard, type ModelRecord } from "@dyn/runtime/internal";

/** The capability of engines that make embeddings besides. */
export const embeddings = "embeddings";

/** What an instance does for a model. `embedding`: nothing but that. */
export type PoolRole = WorkerRole | "embedding";

/** What is shown of a model. Of each number the least that a card says: what one worker cannot do, nobody is promised. */
export interface CardFacts {
  /** Tokens of prompt and completion together; 0 if no card says. */
  readonly contextLength: number;
  /** Tokens; 0 if no card says. */
  readonly kvCacheBlockSize: number;
  /** How often a request that has begun may go on at another worker. */
  readonly migrationLimit: number;
  /** What all engines that generate can do beyond text; `embeddings` among it. */
  readonly capabilities: ReadonlySet<string>;
}

/** What is shown of a model, and when it began. */
export interface ModelFacts extends CardFacts {
  /** Unix time in seconds at which the first of the workers that are there began to serve it; 0 if no card says. */
  readonly created: number;
}

/** The cards of one role that name the same endpoint. */
export interface CardGroup {
  /** `dyn://…` */
  readonly endpoint: string;
  /** By decimal instance id. */
  readonly cards: ReadonlyMap<string, ModelRecord>;
  readonly contextLength: Least;
  readonly kvCacheBlockSize: Least;
  readonly migrationLimit: Least;
  readonly created: Least;
  /** How many of the cards name each. */
  readonly capabilities: ReadonlyMap<string, number>;
}

/** All cards of one model. */
export interface ModelCards {
  /** For each role that has cards, those at the endpoint that most of its cards name; of equals the endpoint whose address comes first. */
  served(): ReadonlyMap<PoolRole, CardGroup>;
  add(card: ModelRecord): void;
  remove(card: ModelRecord): void;
}

/** Prefill cards have no model type: on their own they serve nothing, as in Dynamo. @returns undefined for a card that is none of ours to serve. */
export function roleOf({ card_json: card }: ModelRecord): PoolRole | undefined {
  if (card.model_input !== "Text") return undefined;
  if (card.worker_type === "prefill") return "prefill";
  if (!card.model_type.includes("Chat")) return isEmbedding(card) ? "embedding" : undefined;
  return card.worker_type === "decode" ? "decode" : "aggregated";
}

function isEmbedding({ model_type: type }: ModelCard): boolean {
  return type.includes("Embedding");
}

/** The least of some numbers that come and go. The same ones come many times, so it costs as much as there are different ones. */
class Least {
  #counts = new Map<number, number>();

  add(value: number): void {
    this.#counts.set(value, (this.#counts.get(value) ?? 0) + 1);
  }

  remove(value: number): void {
    const count = (this.#counts.get(value) ?? 0) - 1;
    if (count > 0) this.#counts.set(value, count);
    else this.#counts.delete(value);
  }

  /** Undefined if there is none. */
  get value(): number | undefined {
    return this.#counts.size === 0 ? undefined : Math.min(...this.#counts.keys());
  }
}

class Group implements CardGroup {
  readonly endpoint: string;
  readonly cards = new Map<string, ModelRecord>();
  readonly contextLength = new Least();
  readonly kvCacheBlockSize = new Least();
  readonly migrationLimit = new Least();
  readonly created = new Least();
  readonly capabilities = new Map<string, number>();

  constructor(endpoint: string) {
    this.endpoint = endpoint;
  }

  add(card: ModelRecord): void {
    const id = card.instance_id.toString();
    const before = this.cards.get(id);
    if (before) this.remove(before);
    this.cards.set(id, card);
    this.#count(card, "add");
  }

  remove(card: ModelRecord): void {
    const id = card.instance_id.toString();
    if (this.cards.get(id) !== card) return; // another one has taken its place
    this.cards.delete(id);
    this.#count(card, "remove");
  }

  #count({ card_json: card }: ModelRecord, step: "add" | "remove"): void {
    if (card.context_length) this.contextLength[step](card.context_length);
    if (card.kv_cache_block_size) this.kvCacheBlockSize[step](card.kv_cache_block_size);
    this.migrationLimit[step](card.migration_limit ?? 0);
    if (card.dyn_created) this.created[step](card.dyn_created);
    for (const name of new Set([...(card.dyn_capabilities ?? []), ...(isEmbedding(card) ? [embeddings] : [])])) {
      const count = (this.capabilities.get(name) ?? 0) + (step === "add" ? 1 : -1);
      if (count > 0) this.capabilities.set(name, count);
      else this.capabilities.delete(name);
    }
  }
}

/** Create the cards of one model, none at first. */
export function createModelCards(): ModelCards {
  const groups = new Map<PoolRole, Map<string, Group>>();

  function groupsOf(card: ModelRecord): Map<string, Group> {
    const role = roleOf(card);
    const its = (role && groups.get(role)) ?? new Map<string, Group>();
    if (role) groups.set(role, its);
    return its;
  }

  return {
    served() {
      const served = new Map<PoolRole, Group>();
      for (const [role, its] of groups) {
        for (const group of its.values()) {
          const best = served.get(role);
          if (!best || isBefore(group, best)) served.set(role, group);
        }
      }
      return served;
    },
    add(card) {
      const its = groupsOf(card);
      const endpoint = formatAddress(card);
      const group = its.get(endpoint) ?? new Group(endpoint);
      its.set(endpoint, group);
      group.add(card);
    },
    remove(card) {
      const its = groupsOf(card);
      const group = its.get(formatAddress(card));
      group?.remove(card);
      if (group?.cards.size === 0) its.delete(group.endpoint);
    },
  };
}

function isBefore(one: Group, other: Group): boolean {
  return one.cards.size === other.cards.size ? one.endpoint < other.endpoint : one.cards.size > other.cards.size;
}

/** What is shown of a model with these cards, by role. */
export function toFacts(served: ReadonlyMap<PoolRole, CardGroup>): ModelFacts {
  const all = [...served.values()];
  const isGenerating = (role: PoolRole): boolean => role === "aggregated" || role === "decode"; // a prompt is never gone on with
  const generating = [...served].flatMap(([role, group]) => (isGenerating(role) ? [group] : []));
  return {
    contextLength: least(all, "contextLength"),
    kvCacheBlockSize: least(all, "kvCacheBlockSize"),
    migrationLimit: least(generating, "migrationLimit"),
    created: least(all, "created"),
    capabilities: new Set(
      generating.flatMap(inAll).filter((name) => generating.every((group) => isInAll(group, name))),
    ),
  };
}

function inAll(group: CardGroup): string[] {
  return [...group.capabilities.keys()].filter((name) => isInAll(group, name));
}

function isInAll({ capabilities, cards }: CardGroup, name: string): boolean {
  return capabilities.get(name) === cards.size;
}

function least(groups: readonly CardGroup[], name: Exclude<keyof ModelFacts, "capabilities">): number {
  const values = groups.flatMap((group) => group[name].value ?? []);
  return values.length === 0 ? 0 : Math.min(...values);
}
