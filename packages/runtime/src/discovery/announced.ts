/** What a process has said of itself: who it is, and where it is dialled. */
import { RecentSet } from "../recent.ts";
import type { DiscoveryBackend } from "./discovery.ts";
import { toInstance } from "./instance.ts";

/** Most addresses that are remembered, the latest ones. A runtime has one, unless a program announces others for it. */
const maxAnnounced = 1_024;

/** A discovery that knows which addresses this process has published. */
export interface AnnouncingDiscovery extends DiscoveryBackend {
  /** True for the `Instance.key` of a record that was published here, also once it is withdrawn: whoever has read it may still dial. */
  readonly isAnnounced: (key: string) => boolean;
}

/** Takes ownership of `discovery`. */
export function rememberAnnounced(discovery: DiscoveryBackend): AnnouncingDiscovery {
  const announced = new RecentSet<string>(maxAnnounced);
  return {
    kind: discovery.kind,
    get condition() {
      return discovery.condition;
    },
    publish(record) {
      const key = record.type === "Endpoint" ? toInstance(record)?.key : undefined;
      if (key !== undefined) announced.add(key); // before anybody can read it
      return discovery.publish(record);
    },
    watch: (bucket, onChanges, under) => discovery.watch(bucket, onChanges, under),
    readBeat: (key) => discovery.readBeat(key),
    isAnnounced: (key) => announced.has(key),
    [Symbol.asyncDispose]: () => discovery[Symbol.asyncDispose](),
  };
}
