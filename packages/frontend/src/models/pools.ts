/** The workers of one model: a pool per role, each with a client of the endpoint that is served. */
import { RuntimeError, type Client, type Instance, type RouterMode, type Runtime } from "@dyn/runtime";
import type { Delta, WorkerRole } from "@dyn/runtime/llm";
import { formatAddress, type ModelRecord, type ModelJob, type Logger } from "@dyn/runtime/internal";
import { createCounter, type CountClient, type Counter } from "./counter.ts";
import {
  createModelCards,
  embeddings,
  roleOf,
  toFacts,
  type CardFacts,
  type CardGroup,
  type ModelFacts,
  type PoolRole,
} from "./cards.ts";

export type ModelClient = Client<ModelJob, Delta>;

/** The workers that serve a request. */
export interface ModelClients {
  readonly client: ModelClient;
  /** Set if prompts go to workers of their own first. */
  readonly prefill: ModelClient | undefined;
  /** How often a request that has begun may go on at another worker: what all of them allow. */
  readonly migrationLimit: number;
  /** What all of them can do beyond text. */
  readonly capabilities: ReadonlySet<string>;
}

export interface Pools extends Disposable {
  /** True without cards. */
  readonly isEmpty: boolean;
  /** As of the last `settle`. */
  readonly facts: ModelFacts;
  /** True if requests are sent to the instance that this card is of. */
  isInUse(card: ModelRecord): boolean;
  /** In the place of the card of the same instance and role, if there is one. */
  add(card: ModelRecord): void;
  remove(card: ModelRecord): void;
  /** All cards that have come and gone together are added and removed: serve what they come to. @returns cards whose instances are not asked any more, since most workers are elsewhere. */
  settle(): readonly ModelRecord[];
  /** @throws RuntimeError `unavailable` while no instance of a role that is needed is there, `unimplemented` if the model makes embeddings only. */
  choose(): ModelClients;
  /** Whom to ask for embeddings. @throws RuntimeError `unimplemented` if the model makes none, `unavailable` while no instance is there. */
  embedder(): ModelClient;
  /** Whom to ask for the tokens of a prompt. Undefined if none of the workers counts. */
  counter(): CountClient | undefined;
}

export interface PoolsOptions {
  readonly model: string;
  readonly runtime: Runtime;
  readonly log: Logger;
  readonly routerMode: RouterMode;
  /** The instance that this card is of has left. */
  readonly onLeave: (card: ModelRecord) => void;
}

interface Pool extends Pick<CardGroup, "endpoint" | "cards"> {
  readonly client: ModelClient;
  readonly counter: Counter;
}

/** Create the pools of one model, empty at first. */
export function createPools(options: PoolsOptions): Pools {
  return new ModelPools(options);
}

class ModelPools implements Pools {
  #options: PoolsOptions;
  #cards = createModelCards();
  #pools = new Map<PoolRole, Pool>();
  facts: ModelFacts = toFacts(new Map());

  constructor(options: PoolsOptions) {
    this.#options = options;
  }

  get isEmpty(): boolean {
    return this.#pools.size === 0;
  }

  isInUse(card: ModelRecord): boolean {
    return this.#poolOf(card)?.client.has(card.instance_id.toString()) ?? false;
  }

  add(card: ModelRecord): void {
    this.#cards.add(card);
    const pool = this.#poolOf(card);
    pool?.client.admit(card.instance_id.toString());
    pool?.counter.add(card);
  }

  remove(card: ModelRecord): void {
    this.#cards.remove(card);
    const pool = this.#poolOf(card);
    const id = card.instance_id.toString();
    if (!pool || pool.cards.has(id)) return;
    pool.client.dismiss(id);
    pool.counter.remove(card);
  }

  settle(): readonly ModelRecord[] {
    const served = this.#cards.served();
    const before = this.isEmpty ? undefined : this.facts;
    const roles = new Set<PoolRole>([...this.#pools.keys(), ...served.keys()]);
    const left = [...roles].flatMap((role) => this.#follow(role, served.get(role)));
    this.facts = toFacts(served);
    if (before && !this.isEmpty) this.#tellChange(before);
    return left;
  }

  choose(): ModelClients {
    return choosePools(this.#options.model, this.#pools, this.facts);
  }

  embedder(): ModelClient {
    return chooseEmbedder(this.#options.model, this.#pools, this.facts);
  }

  counter(): CountClient | undefined {
    const clients = countingRoles.flatMap((role) => this.#pools.get(role)?.counter.client ?? []);
    return clients.find(({ instances }) => instances.length > 0) ?? clients[0];
  }

  /** @returns the cards that are not served any more. */
  #follow(role: PoolRole, to: CardGroup | undefined): readonly ModelRecord[] {
    const { model, log } = this.#options;
    const from = this.#pools.get(role);
    if (from?.endpoint === to?.endpoint) return [];
    this.#pools.delete(role);
    if (from) closePool(from);
    if (!to) log.info({ model, endpoint: from?.endpoint, role }, "model removed");
    else if (!from) log.info({ model, endpoint: to.endpoint, role }, "model added");
    else log.info({ model, endpoint: to.endpoint, endpoint_before: from.endpoint, role }, "model changed");
    if (to) this.#open(role, to);
    return [...(from?.cards.values() ?? [])];
  }

  #open(role: PoolRole, { endpoint, cards }: CardGroup): void {
    const { model, runtime, routerMode } = this.#options;
    const onLeave = ({ id }: Instance): void => {
      const card = cards.get(id);
      if (card) this.#options.onLeave(card);
    };
    const client = runtime.client<ModelJob, Delta>(endpoint, {
      admittedOnly: true,
      policy: routerMode,
      retry: {}, // a model may be asked twice, whoever serves it
      onLeave,
      logFields: { model },
    });
    const counter = createCounter(runtime);
    this.#pools.set(role, { client, counter, endpoint, cards });
    for (const [id, card] of cards) {
      client.admit(id);
      counter.add(card);
    }
  }

  #tellChange(before: CardFacts): void {
    const { model, log } = this.#options;
    const changes = describeChange(before, this.facts);
    if (changes) log.info({ model, ...changes }, "model changed");
  }

  #poolOf(card: ModelRecord): Pool | undefined {
    const role = roleOf(card);
    const pool = role && this.#pools.get(role);
    return pool?.endpoint === formatAddress(card) ? pool : undefined;
  }

  [Symbol.dispose](): void {
    for (const pool of this.#pools.values()) closePool(pool);
    this.#pools.clear();
  }
}

// A prompt is the same to all of them.
const countingRoles: readonly WorkerRole[] = ["aggregated", "decode", "prefill"];

function closePool({ client, counter }: Pool): void {
  client.close();
  counter[Symbol.dispose]();
}

// What is other than before, and what it was.
function describeChange(before: CardFacts, after: CardFacts): Record<string, number> | undefined {
  const names = {
    context_length: "contextLength",
    kv_cache_block_size: "kvCacheBlockSize",
    migration_limit: "migrationLimit",
  } as const;
  const changed = Object.entries(names).filter(([, name]) => before[name] !== after[name]);
  if (changed.length === 0) return undefined;
  return Object.fromEntries(
    changed.flatMap(([field, name]) => [
      [field, after[name]],
      [`${field}_before`, before[name]],
    ]),
  );
}

// Workers that do both win: one hop less.
function choosePools(model: string, pools: ReadonlyMap<PoolRole, Pool>, facts: CardFacts): ModelClients {
  const { migrationLimit, capabilities } = facts;
  const living = (role: PoolRole): ModelClient | undefined => livingClient(pools.get(role));
  const aggregated = living("aggregated");
  if (aggregated) return { client: aggregated, prefill: undefined, migrationLimit, capabilities };
  const [prefill, decode] = [living("prefill"), living("decode")];
  if (prefill && decode) return { client: decode, prefill, migrationLimit, capabilities };
  if (pools.has("embedding") && pools.size === 1)
    throw new RuntimeError(
      "unimplemented",
      `model ${JSON.stringify(model)} makes embeddings only: ask for them at POST /v1/embeddings`,
    );
  const missing = prefill ? "no decode instance" : decode ? "no prefill instance" : "no instance";
  throw new RuntimeError("unavailable", `${missing} serves model ${JSON.stringify(model)} at the moment`);
}

function livingClient(pool: Pool | undefined): ModelClient | undefined {
  return pool && pool.client.instances.length > 0 ? pool.client : undefined;
}

// Those that do nothing else win: others have answers to make.
function chooseEmbedder(model: string, pools: ReadonlyMap<PoolRole, Pool>, { capabilities }: CardFacts): ModelClient {
  const [only, also] = [pools.get("embedding"), capabilities.has(embeddings) ? pools.get("aggregated") : undefined];
  const client = livingClient(only) ?? livingClient(also);
  if (client) return client;
  const shown = `model ${JSON.stringify(model)}`;
  if (!only && !also) throw new RuntimeError("unimplemented", `${shown} makes no embeddings`);
  throw new RuntimeError("unavailable", `no instance makes embeddings of ${shown} at the moment`);
}
