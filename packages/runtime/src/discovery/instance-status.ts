/** The contract of those who can tell whether an instance is there, whatever its record says. */
import type { Instance } from "./instance.ts";

/** `here`: it answers. `left`: it has said that it takes no more requests. `unknown`: nobody has a connection to it. */
export type InstanceStatus = "here" | "left" | "unknown";

/** Told by connections, for whoever keeps an instance whose record is gone. */
export interface InstanceStatuses {
  statusOf(instance: Instance): InstanceStatus;
  /** Find out, by dialling it if need be. Never rejects. */
  probe(instance: Instance): Promise<InstanceStatus>;
  /** Hear that the whereabouts of the instance with that key may have changed. */
  onChange(key: string, listener: () => void): Disposable;
}
