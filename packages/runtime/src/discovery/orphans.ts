/** Instances whose records are gone but who are still there: a registry that is lost must not take the workers with it. */
import type { Logger } from "../logging/logger.ts";
import type { Instance } from "./instance.ts";
import type { InstanceStatuses } from "./instance-status.ts";

/** A worker's word that it leaves may come this much later than the end of its record, ms. */
const graceMs = 250;

/** Of one endpoint. */
export interface OrphansOptions {
  readonly statuses: InstanceStatuses;
  /** `dyn://…`, for the log. */
  readonly endpoint: string;
  readonly log: Logger;
  /** One of them is gone for good. */
  readonly onGone: (instanceId: string) => void;
}

/** The instances in use that have no record any more. They stay until they leave or cannot be reached, because a lost registry must not take the workers with it. */
export interface Orphans extends Disposable {
  /** The record of an instance in use is gone. @returns true if it stays until it says that it leaves, or cannot be reached; false if it has said so. */
  keep(instance: Instance): boolean;
  /** It has a record again. */
  returned(instance: Instance): void;
  /** Nobody wants it any more. */
  forget(instance: Instance): void;
}

/** Create an empty set. */
export function createOrphans({ statuses, endpoint, log, onGone }: OrphansOptions): Orphans {
  const kept = new Map<string, Disposable>(); // by key: what tells of its whereabouts
  const probing = new Set<string>();
  const announcements = createAnnouncements(endpoint, log);

  // Its connection says nothing (any more): dial once, and believe what comes of it.
  async function probe(instance: Instance): Promise<void> {
    const { id, key } = instance;
    if (probing.has(key)) return;
    probing.add(key);
    const found = await statuses.probe(instance);
    probing.delete(key);
    if (!kept.has(key)) return;
    if (found === "here") setTimeout(() => kept.has(key) && announcements.stays(id), graceMs).unref();
    else drop(instance);
  }

  function release(key: string): boolean {
    kept.get(key)?.[Symbol.dispose]();
    return kept.delete(key);
  }

  function drop({ id, key }: Instance): void {
    announcements.left(id);
    if (release(key)) onGone(id);
  }

  function look(instance: Instance): void {
    const where = statuses.statusOf(instance);
    if (where === "left") drop(instance);
    else if (where === "unknown") void probe(instance);
  }

  return {
    keep(instance) {
      const { key } = instance;
      if (statuses.statusOf(instance) === "left") return false;
      kept.set(
        key,
        statuses.onChange(key, () => look(instance)),
      );
      void probe(instance);
      return true;
    },
    returned({ id, key }) {
      if (release(key)) announcements.returned(id);
    },
    forget({ id, key }) {
      announcements.left(id);
      release(key);
    },
    [Symbol.dispose]() {
      for (const key of kept.keys()) release(key);
    },
  };
}

interface Announcements {
  stays(id: string): void;
  returned(id: string): void;
  left(id: string): void;
}

// Once each time an instance is lost; that it is back, only of those that were said to be lost.
function createAnnouncements(endpoint: string, log: Logger): Announcements {
  const announced = new Set<string>();
  return {
    stays(id) {
      if (announced.has(id)) return;
      announced.add(id);
      log.warn({ endpoint, instance_id: id }, "instance is not registered any more but answers, it stays in use");
    },
    returned(id) {
      if (announced.delete(id)) log.info({ endpoint, instance_id: id }, "instance is registered again");
    },
    left: (id) => void announced.delete(id),
  };
}
