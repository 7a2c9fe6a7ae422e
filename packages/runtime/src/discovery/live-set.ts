/** The instances of one endpoint that can be sent requests, in a stable order. */
import { formatHostPort } from "../address.ts";
import { RuntimeError } from "../errors.ts";
import { createGate } from "../lifetime.ts";
import type { Logger } from "../logging/logger.ts";
import type { Discovery, Snapshot } from "./discovery.ts";
import type { Presence } from "./presence.ts";
import { createUnlisted } from "./unlisted.ts";
import { formatAddress, formatPath, type EndpointAddress, type EndpointRecord } from "./records.ts";

export interface Instance {
  /** Decimal u64. */
  readonly id: string;
  readonly host: string;
  readonly port: number;
  /** What a REQUEST names. */
  readonly path: string;
  /** Its listener speaks TLS. Default false. */
  readonly isTls?: boolean;
}

export interface LiveSet extends Disposable {
  /** Ordered by id; a new array at every change. */
  readonly instances: readonly Instance[];
  /** Resolves once `count` instances are there. Rejects with the signal's reason, or `unavailable` once this is disposed. */
  waitFor(count: number, signal?: AbortSignal): Promise<readonly Instance[]>;
  /** Ask `accepts` anew: its answers have changed. */
  refresh(): void;
}

export interface LiveSetOptions {
  readonly discovery: Discovery;
  readonly address: EndpointAddress;
  readonly log: Logger;
  /** Leaves out instances, for instance those that serve another model at the same endpoint. Default: all are in. */
  readonly accepts?: (instanceId: string) => boolean;
  /** Who can tell of an instance whose record is gone. Default: nobody, it has left then. */
  readonly presence?: Presence;
  /** An instance has left. */
  readonly onLeave?: () => void;
}

/** @returns undefined for an instance that does not speak the native plane or has no usable address. */
export function toInstance(record: EndpointRecord): Instance | undefined {
  const match = /^(?:tcp:\/\/)?(?:\[([0-9a-fA-F:.]+)\]|([^:/\s]+)):(\d{1,5})(?:\/|$)/.exec(record.transport.tcp);
  const host = match?.[1] ?? match?.[2];
  const port = Number(match?.[3]);
  if (record.dyn_plane !== 1 || host === undefined || !(port > 0 && port < 65_536)) return undefined;
  return { id: record.instance_id.toString(), host, port, path: formatPath(record), ...(record.dyn_plane_tls === true && { isTls: true }) };
}

/** Follow one endpoint. */
export function openLiveSet({ discovery, address, log, accepts, presence, onLeave }: LiveSetOptions): LiveSet {
  const gate = createGate();
  let listed: readonly Instance[] = [];
  let found: readonly Instance[] = [];
  let instances: readonly Instance[] = [];
  let closed = false;
  const refresh = (): void => {
    const next = accepts ? found.filter(({ id }) => accepts(id)) : found;
    logChanges(instances, next, formatAddress(address), log);
    instances = next;
    gate.wake();
  };
  const combine = (): void => {
    const before = instances;
    found = unlisted ? inOrder([...listed, ...unlisted.instances]) : listed;
    refresh();
    const has = new Set(instances.map(({ id }) => id));
    if (before.some(({ id }) => !has.has(id))) onLeave?.();
  };
  const unlisted = presence && createUnlisted({ presence, endpoint: formatAddress(address), log, onGone: combine });
  const watch = discovery.watch("v1/instances", (snapshot) => {
    listed = select(snapshot, address);
    unlisted?.update(listed, instances); // only those in use: of others nobody knows more than their record
    combine();
  });
  return {
    get instances() {
      return instances;
    },
    refresh,
    async waitFor(count, signal) {
      await gate.until(() => closed || instances.length >= count, signal);
      if (closed) throw new RuntimeError("unavailable", "this client is closed");
      return instances;
    },
    [Symbol.dispose]() {
      closed = true;
      watch[Symbol.dispose]();
      unlisted?.[Symbol.dispose]();
      gate.wake();
    },
  };
}

function select(snapshot: Snapshot, { namespace, component, endpoint }: EndpointAddress): Instance[] {
  const found: Instance[] = [];
  for (const record of snapshot.values()) {
    if (record.type !== "Endpoint" || record.namespace !== namespace) continue;
    if (record.component !== component || record.endpoint !== endpoint) continue;
    const instance = toInstance(record);
    if (instance) found.push(instance);
  }
  return inOrder(found);
}

function inOrder(instances: Instance[]): Instance[] {
  return instances.sort((left, right) => (BigInt(left.id) < BigInt(right.id) ? -1 : 1));
}

// `instances` counts as the lines go by.
function logChanges(before: readonly Instance[], after: readonly Instance[], endpoint: string, log: Logger): void {
  const had = new Set(before.map(({ id }) => id));
  const has = new Set(after.map(({ id }) => id));
  let instances = before.length;
  for (const { id, host, port } of after) {
    if (had.has(id)) continue;
    instances += 1;
    log.info({ endpoint, instance_id: id, address: formatHostPort(host, port), instances }, "instance joined");
  }
  for (const { id } of before) {
    if (has.has(id)) continue;
    instances -= 1;
    log.info({ endpoint, instance_id: id, instances }, "instance left");
  }
}
