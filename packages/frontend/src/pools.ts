/** The workers of one model: a pool per role, each with a client of the endpoint its cards name. */
import { formatAddress, RuntimeError, type Client, type Logger, type ModelRecord, type RouterMode, type Runtime } from "@dyn/runtime";
import type { Delta, ModelJob, WorkerRole } from "@dyn/runtime/llm";

export type ModelClient = Client<ModelJob, Delta>;

/** The workers that serve a request. */
export interface Serving {
  readonly client: ModelClient;
  /** Set if prompts go to workers of their own first. */
  readonly prefill: ModelClient | undefined;
  /** How often a request that has begun may go on at another worker: what all of them allow. */
  readonly migrationLimit: number;
}

export interface Pools extends Disposable {
  readonly isEmpty: boolean;
  /** True if requests are sent to the instance that this card is of. */
  isInUse(card: ModelRecord): boolean;
  /** The cards of the model as they are now, by role. */
  update(cards: ReadonlyMap<WorkerRole, readonly ModelRecord[]>): void;
  /** @throws RuntimeError `unavailable` while no instance of a role that is needed is there. */
  choose(): Serving;
}

export interface PoolsOptions {
  readonly model: string;
  readonly runtime: Runtime;
  readonly log: Logger;
  readonly routerMode: RouterMode;
  /** An instance has left. */
  readonly onLeave: () => void;
}

interface Pool {
  readonly client: ModelClient;
  readonly address: string;
  /** Decimal ids of the instances whose cards name this model and role. */
  readonly members: Set<string>;
  migrationLimit: number;
}

/** Create the pools of one model, empty at first. */
export function createPools({ model, runtime, log, routerMode, onLeave }: PoolsOptions): Pools {
  const pools = new Map<WorkerRole, Pool>();

  function open(role: WorkerRole, endpoint: string): Pool {
    const members = new Set<string>();
    const client = runtime.client<ModelJob, Delta>(endpoint, { accepts: (id) => members.has(id), routerMode, onLeave });
    const pool: Pool = { client, address: endpoint, members, migrationLimit: 0 };
    pools.set(role, pool);
    log.info({ model, endpoint, role }, "model added");
    return pool;
  }

  function close(role: WorkerRole, { client, address: endpoint }: Pool): void {
    pools.delete(role);
    client[Symbol.dispose]();
    log.info({ model, endpoint, role }, "model removed");
  }

  function setMembers(pool: Pool, records: readonly ModelRecord[]): void {
    const { members, address, client } = pool;
    pool.migrationLimit = Math.min(...records.map(({ card_json: card }) => card.migration_limit));
    members.clear();
    for (const record of records) {
      const endpoint = formatAddress(record);
      const instance_id = record.instance_id.toString();
      if (endpoint === address) members.add(instance_id);
      else log.debug({ instance_id, endpoint }, "card ignored: the model is served at another endpoint");
    }
    client.refresh();
  }

  return {
    get isEmpty() {
      return pools.size === 0;
    },
    isInUse(card) {
      const id = card.instance_id.toString();
      return [...pools.values()].some(({ address, client }) => address === formatAddress(card) && client.instances.some((each) => each.id === id));
    },
    update(cards) {
      for (const [role, pool] of pools) {
        if (!cards.get(role)?.some((record) => formatAddress(record) === pool.address)) close(role, pool);
      }
      for (const [role, records] of cards) {
        const [first] = records;
        if (first) setMembers(pools.get(role) ?? open(role, formatAddress(first)), records);
      }
    },
    choose: () => choosePools(model, pools),
    [Symbol.dispose]() {
      for (const { client } of pools.values()) client[Symbol.dispose]();
      pools.clear();
    },
  };
}

// Workers that do both win: one hop less.
function choosePools(model: string, pools: ReadonlyMap<WorkerRole, Pool>): Serving {
  const living = (role: WorkerRole): Pool | undefined => {
    const pool = pools.get(role);
    return pool && pool.client.instances.length > 0 ? pool : undefined;
  };
  const aggregated = living("aggregated");
  if (aggregated) return { client: aggregated.client, prefill: undefined, migrationLimit: aggregated.migrationLimit };
  const [prefill, decode] = [living("prefill"), living("decode")];
  if (prefill && decode) return { client: decode.client, prefill: prefill.client, migrationLimit: decode.migrationLimit };
  const missing = prefill ? "no decode instance" : decode ? "no prefill instance" : "no instance";
  throw new RuntimeError("unavailable", `${missing} serves model ${JSON.stringify(model)} at the moment`);
}
