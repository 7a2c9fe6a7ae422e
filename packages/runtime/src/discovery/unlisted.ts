/** Instances whose records are gone but who are still there: a registry that is lost must not take the workers with it. */
import type { Logger } from "../logging/logger.ts";
import type { Instance } from "./live-set.ts";
import type { Presence } from "./presence.ts";

/** A worker's word that it leaves may come this much later than the end of its record, ms. */
const graceMs = 250;

export interface UnlistedOptions {
  readonly presence: Presence;
  /** `dyn://…`, for the log. */
  readonly endpoint: string;
  readonly log: Logger;
  /** One of them is gone for good. */
  readonly onGone: () => void;
}

export interface Unlisted extends Disposable {
  readonly instances: Iterable<Instance>;
  /** What is registered now, and what was in use before. */
  update(listed: readonly Instance[], before: readonly Instance[]): void;
}

/** Create an empty set. An instance stays in it until it says that it leaves, or cannot be reached. */
export function createUnlisted({ presence, endpoint, log, onGone }: UnlistedOptions): Unlisted {
  const kept = new Map<string, Instance>();
  const probing = new Set<string>();
  const announcements = createAnnouncements(endpoint, log);

  // Its connection says nothing (any more): dial once, and believe what comes of it.
  async function probe(instance: Instance): Promise<void> {
    const { id } = instance;
    if (probing.has(id)) return;
    probing.add(id);
    const found = await presence.probe(instance);
    probing.delete(id);
    if (!kept.has(id)) return;
    if (found === "here") setTimeout(() => kept.has(id) && announcements.stays(id), graceMs).unref();
    else drop(id);
  }

  function drop(id: string): void {
    announcements.left(id);
    if (kept.delete(id)) onGone();
  }

  function look(instance: Instance): void {
    const where = presence.whereabouts(instance);
    if (where === "left") drop(instance.id);
    else if (where === "unknown") void probe(instance);
  }

  const changes = presence.onChange((id) => {
    const instance = kept.get(id);
    if (instance) look(instance);
  });
  return {
    get instances() {
      return kept.values();
    },
    update(listed, before) {
      const ids = new Set(listed.map(({ id }) => id));
      for (const id of kept.keys()) {
        if (!ids.has(id)) continue;
        kept.delete(id);
        announcements.returned(id);
      }
      for (const instance of before) {
        if (ids.has(instance.id) || kept.has(instance.id) || presence.whereabouts(instance) === "left") continue;
        kept.set(instance.id, instance);
        void probe(instance);
      }
    },
    [Symbol.dispose]() {
      changes[Symbol.dispose]();
      kept.clear();
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
