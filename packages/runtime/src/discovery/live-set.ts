/** The instances of one endpoint that can be sent requests, in a stable order. */
import { formatHostPort } from "../address.ts";
import { RuntimeError } from "../errors.ts";
import { formatInstanceKey, parseInstanceKey } from "../ids.ts";
import { createWaiters } from "../lifetime.ts";
import type { Logger } from "../logging/logger.ts";
import type { Change, Discovery, Watch } from "./discovery.ts";
import { createComings, type Comings } from "./comings.ts";
import { toInstance, type Instance } from "./instance.ts";
import type { InstanceStatuses } from "./instance-status.ts";
import { hasLabels, type InstanceLabels } from "./labels.ts";
import { createOrphans } from "./orphans.ts";
import { formatAddress, formatPath, type EndpointAddress } from "./records.ts";

/** Follows the records of one endpoint until it is disposed. */
export interface LiveSet extends Disposable {
  /** Ordered by id; a new array after every change. */
  readonly instances: readonly Instance[];
  /** True for an id that is in `instances`. */
  has(instanceId: string): boolean;
  /** With `admittedOnly`: let an instance in, as soon as it is there. */
  admit(instanceId: string): void;
  /** With `admittedOnly`: let it in no longer. */
  dismiss(instanceId: string): void;
  /** Resolves once `count` instances are there. Rejects with the signal's reason, or `unavailable` once this is disposed. */
  waitFor(count: number, signal?: AbortSignal): Promise<readonly Instance[]>;
}

/** `discovery` stays its owner's. */
export interface LiveSetOptions {
  readonly discovery: Discovery;
  readonly address: EndpointAddress;
  readonly log: Logger;
  /** Only instances that are admitted are in, for instance those that serve one of several models at the same endpoint. Others that come and go cost it nothing. Default: all are in. */
  readonly admittedOnly?: boolean;
  /** Who can tell of an instance whose record is gone. Default: nobody, it has left then. */
  readonly statuses?: InstanceStatuses;
  /** Only instances that have these are in. Default: with any or none. */
  readonly labels?: InstanceLabels | undefined;
  /** An instance has joined. What it throws is logged. */
  readonly onJoin?: ((instance: Instance) => unknown) | undefined;
  /** An instance has left, as it was. What it throws is logged. */
  readonly onLeave?: ((instance: Instance) => unknown) | undefined;
}

/** Follow one endpoint. */
export function openLiveSet(options: LiveSetOptions): LiveSet {
  const { discovery, address, admittedOnly = false } = options;
  const path = formatPath(address);
  const waiters = createWaiters();
  const comings = createComings(options);
  const members = createMembers(options, comings, () => waiters.wake());
  const watches = new Map<string, Watch>();
  let closed = false;
  const follow = (id: string, under: string): void => {
    watches.set(
      id,
      discovery.watch("v1/instances", (changes) => members.apply(changes), under),
    );
  };
  if (!admittedOnly) follow("", path);
  return {
    get instances() {
      return members.instances;
    },
    has: (id) => members.has(id),
    admit(id) {
      if (admittedOnly && !watches.has(id)) follow(id, `${path}/${formatInstanceKey(BigInt(id))}`);
    },
    dismiss(id) {
      const watch = watches.get(id);
      if (!admittedOnly || !watch) return;
      watch[Symbol.dispose]();
      watches.delete(id);
      members.dismiss(id);
    },
    async waitFor(count, signal) {
      await waiters
        .until(() => closed || members.size >= count, signal)
        .catch((reason: unknown) => {
          if (!(reason instanceof Error && reason.name === "TimeoutError")) throw reason;
          const there = `${members.size} of ${count} instances of ${formatAddress(address)} are there, and the time to wait is over`;
          throw new RuntimeError("deadline_exceeded", there, { cause: reason });
        });
      if (closed) throw new RuntimeError("unavailable", "this client is closed");
      return members.instances;
    },
    [Symbol.dispose]() {
      closed = true;
      for (const watch of watches.values()) watch[Symbol.dispose]();
      comings[Symbol.dispose]();
      members[Symbol.dispose]();
      waiters.wake();
    },
  };
}

interface Members extends Disposable {
  readonly size: number;
  readonly instances: readonly Instance[];
  has(id: string): boolean;
  apply(changes: readonly Change[]): void;
  dismiss(id: string): void;
}

// Those in use: the ones with a record, and the ones that have lost it and are there all the same.
function createMembers(options: LiveSetOptions, comings: Comings, onNews: () => void): Members {
  const { address, log, statuses, labels = {} } = options;
  const endpoint = formatAddress(address);
  const inUse = new Map<string, Instance>();
  let ordered: readonly Instance[] | undefined = [];
  const orphans = statuses && createOrphans({ statuses, endpoint, log, onGone: leave });

  function join(instance: Instance): void {
    const known = inUse.get(instance.id);
    inUse.set(instance.id, instance);
    ordered = undefined;
    if (known) orphans?.returned(known);
    logJoin(log, { endpoint, instance, known, instances: inUse.size });
    if (!known) comings.joined(instance);
  }

  function remove(id: string): boolean {
    if (!inUse.delete(id)) return false;
    ordered = undefined;
    log.info({ endpoint, instance_id: id, instances: inUse.size }, "instance left");
    onNews();
    return true;
  }

  function leave(id: string): void {
    const instance = inUse.get(id);
    if (instance && remove(id)) comings.left(instance);
  }

  function apply({ key, record }: Change): void {
    const instance = record?.type === "Endpoint" ? toInstance(record) : undefined;
    if (instance && hasLabels(instance.labels, labels)) return join(instance);
    const id = parseInstanceKey(key.slice(key.lastIndexOf("/") + 1));
    const known = inUse.get(id);
    if (known && instance) orphans?.forget(known); // it is there, and served anew with other labels
    else if (known && orphans?.keep(known)) return;
    leave(id);
  }

  return {
    get size() {
      return inUse.size;
    },
    get instances() {
      return (ordered ??= inOrder([...inUse.values()]));
    },
    has: (id) => inUse.has(id),
    apply(changes) {
      for (const change of changes) apply(change);
      onNews();
    },
    dismiss(id) {
      const known = inUse.get(id);
      if (known) orphans?.forget(known);
      remove(id);
    },
    [Symbol.dispose]: () => orphans?.[Symbol.dispose](),
  };
}

interface Joined {
  readonly endpoint: string;
  readonly instance: Instance;
  /** As it was known before. */
  readonly known: Instance | undefined;
  readonly instances: number;
}

function logJoin(log: Logger, { endpoint, instance: { id, key, host, port }, known, instances }: Joined): void {
  const address = formatHostPort(host, port);
  if (!known) log.info({ endpoint, instance_id: id, address, instances }, "instance joined");
  else if (known.key !== key) log.info({ endpoint, instance_id: id, address }, "instance moved");
}

// Decimal u64 without leading zeros: longer is larger.
function inOrder(instances: Instance[]): Instance[] {
  return instances.sort(({ id: left }, { id: right }) => left.length - right.length || (left < right ? -1 : 1));
}
