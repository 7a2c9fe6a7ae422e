/** One instance of an endpoint, as its record tells it. */
import { formatHostPort } from "../address.ts";
import { formatInstanceKey } from "../ids.ts";
import { noLabels, type InstanceLabels } from "./labels.ts";
import { formatPath, type EndpointRecord } from "./records.ts";

/** Where one instance is dialled, and how it is told from all others. */
export interface Instance {
  /** Decimal u64. */
  readonly id: string;
  /** Its id and where it is dialled: what is known of an instance is not known of one that says the same id elsewhere. */
  readonly key: string;
  readonly host: string;
  readonly port: number;
  /** What a REQUEST names. */
  readonly path: string;
  /** Its listener speaks TLS. Default false. */
  readonly isTls?: boolean;
  /** A request may run twice there without harm. Default false. */
  readonly isIdempotent?: boolean;
  /** Values by name, as it was served with; empty without any. */
  readonly labels: InstanceLabels;
}

/** The key of its record. */
export function recordKeyOf({ path, id }: Instance): string {
  return `${path}/${formatInstanceKey(BigInt(id))}`;
}

/** @returns undefined for an instance that does not speak the native plane or has no usable address. */
export function toInstance(record: EndpointRecord): Instance | undefined {
  const match = /^(?:tcp:\/\/)?(?:\[([0-9a-fA-F:.]+)\]|([^:/\s]+)):(\d{1,5})(?:\/|$)/.exec(record.transport.tcp);
  const host = match?.[1] ?? match?.[2];
  const port = Number(match?.[3]);
  if (record.dyn_plane !== 1 || host === undefined || !(port > 0 && port < 65_536)) return undefined;
  const id = record.instance_id.toString();
  const isTls = record.dyn_plane_tls === true;
  const isIdempotent = record.dyn_idempotent === true;
  const key = `${id}@${isTls ? "tls" : "tcp"}://${formatHostPort(host, port)}`;
  return {
    id,
    key,
    host,
    port,
    path: formatPath(record),
    ...(isTls && { isTls }),
    ...(isIdempotent && { isIdempotent }),
    labels: record.dyn_labels ?? noLabels,
  };
}
