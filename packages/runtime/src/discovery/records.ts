/** Discovery records: Dynamo's JSON, with one additive field that says "this instance also speaks dyn/1". */
import { countCharacters } from "../counts.ts";
import { RuntimeError } from "../errors.ts";
import { formatInstanceKey } from "../ids.ts";
import { areLabels, type InstanceLabels } from "./labels.ts";

/** Where a record lives: instances serve requests, cards describe models. */
export type Bucket = "v1/instances" | "v1/mdc";

/** The three names of an endpoint, each of 1 to 128 characters a-z, 0-9, - and _. */
export interface EndpointAddress {
  readonly namespace: string;
  readonly component: string;
  readonly endpoint: string;
}

/** One instance serves one endpoint. */
export interface EndpointRecord extends EndpointAddress {
  readonly type: "Endpoint";
  readonly instance_id: bigint;
  /** `host:port/path` */
  readonly transport: { readonly tcp: string };
  readonly request_plane_codec?: "json" | "msgpack";
  /** Ours: the listener at `transport.tcp` speaks the native plane in this version. */
  readonly dyn_plane?: 1;
  /** Ours: that listener speaks TLS. */
  readonly dyn_plane_tls?: true;
  /** Ours: a request may run twice without harm. */
  readonly dyn_idempotent?: true;
  /** Ours: what callers may choose it by. */
  readonly dyn_labels?: InstanceLabels;
}

/** Dynamo's model deployment card; only the fields we write or read are typed. */
export interface ModelCard {
  readonly display_name: string;
  readonly slug: string;
  readonly model_type: string;
  readonly model_input: "Text" | "Tokens" | "Tensor";
  readonly kv_cache_block_size?: number;
  readonly migration_limit?: number;
  readonly worker_type?: string;
  readonly needs?: readonly unknown[];
  readonly context_length?: number;
  readonly runtime_config?: Readonly<Record<string, unknown>>;
  /** Ours: since when the worker serves the model, Unix time in seconds. */
  readonly dyn_created?: number;
  /** Ours: the worker counts tokens for whoever asks, at an endpoint beside this one. */
  readonly dyn_count_tokens?: true;
  /** Ours: what the engine can do beyond text. */
  readonly dyn_capabilities?: readonly string[];
}

/** One instance serves a model. */
export interface ModelRecord extends EndpointAddress {
  readonly type: "Model";
  readonly instance_id: bigint;
  readonly card_json: ModelCard;
}

/** What stands in a directory, one a file. */
export type DiscoveryRecord = EndpointRecord | ModelRecord;

/** Longest name of a model, characters. */
export const maxModelNameLength = 256;

/** True for what may be the name of a model: a text of 1 to 256 characters. */
export function isModelName(value: unknown): value is string {
  if (typeof value !== "string" || value === "") return false;
  if (value.length <= maxModelNameLength) return true;
  return value.length <= 2 * maxModelNameLength && countCharacters(value) <= maxModelNameLength;
}

/** How an endpoint of ours is reached, and what may be done there. */
export interface EndpointFacts {
  /** `host:port` */
  readonly tcp: string;
  readonly isTls: boolean;
  /** A request may run twice without harm. Default false. */
  readonly isIdempotent?: boolean;
  /** What callers may choose it by. Default: none. */
  readonly labels?: InstanceLabels;
}

/** The record of an endpoint that this process serves on the native plane. */
export function toEndpointRecord(
  { namespace, component, endpoint }: EndpointAddress,
  id: bigint,
  { tcp, isTls, isIdempotent = false, labels = {} }: EndpointFacts,
): EndpointRecord {
  return {
    type: "Endpoint",
    component,
    endpoint,
    namespace,
    instance_id: id,
    transport: { tcp: `${tcp}/${formatInstanceKey(id)}/${formatPath({ namespace, component, endpoint })}` },
    request_plane_codec: "msgpack",
    dyn_plane: 1,
    ...(isTls && { dyn_plane_tls: true }),
    ...(isIdempotent && { dyn_idempotent: true }),
    ...(Object.keys(labels).length > 0 && { dyn_labels: labels }),
  };
}

/** The bucket in which a record stands. */
export function bucketOf(record: DiscoveryRecord): Bucket {
  return record.type === "Endpoint" ? "v1/instances" : "v1/mdc";
}

/** `namespace/component/endpoint/{instance id in hex}` */
export function recordKey(record: DiscoveryRecord): string {
  return `${formatPath(record)}/${formatInstanceKey(record.instance_id)}`;
}

/** `namespace/component/endpoint`: how a REQUEST names an endpoint. */
export function formatPath({ namespace, component, endpoint }: EndpointAddress): string {
  return `${namespace}/${component}/${endpoint}`;
}

/** `dyn://namespace.component.endpoint`: how users name an endpoint. */
export function formatAddress({ namespace, component, endpoint }: EndpointAddress): string {
  return `dyn://${namespace}.${component}.${endpoint}`;
}

/** Parse `dyn://namespace.component.endpoint`. @throws RuntimeError `invalid_argument`. */
export function parseAddress(uri: string): EndpointAddress {
  const match = /^dyn:\/\/([a-z0-9_-]{1,128})\.([a-z0-9_-]{1,128})\.([a-z0-9_-]{1,128})$/.exec(uri);
  const [, namespace, component, endpoint] = match ?? [];
  if (namespace === undefined || component === undefined || endpoint === undefined) {
    throw new RuntimeError(
      "invalid_argument",
      `${JSON.stringify(uri)} is no endpoint: expected dyn://namespace.component.endpoint in a-z, 0-9, - and _`,
    );
  }
  return { namespace, component, endpoint };
}

/** Dynamo's slug: lower case, anything but a-z 0-9 _ - becomes `_`, leading `_` dropped (runtime slug.rs). */
export function toSlug(name: string): string {
  return name
    .toLowerCase()
    .replace(/[^a-z0-9_-]/g, "_")
    .replace(/^_+/, "");
}

/** JSON with the instance id as a plain u64 number, as Dynamo writes it. */
export function formatRecord(record: DiscoveryRecord): string {
  const text = JSON.stringify(record, (_key, value: unknown) => (typeof value === "bigint" ? value.toString() : value));
  return text.replace(/"instance_id":"(\d{1,20})"/, '"instance_id":$1');
}

/** Parse a record of any writer. Unknown fields are ignored. @throws RuntimeError `protocol` naming what is missing. */
export function parseRecord(text: string): DiscoveryRecord {
  let parsed: unknown;
  try {
    parsed = JSON.parse(text);
  } catch (cause) {
    throw new RuntimeError("protocol", "a discovery record is not JSON", { cause });
  }
  const value = isObject(parsed) ? { ...parsed, instance_id: findId(text, parsed["instance_id"]) } : undefined;
  const missing = value ? findMissing(value) : "object";
  if (missing !== undefined) throw new RuntimeError("protocol", `a discovery record lacks a valid ${missing}`);
  return value as unknown as DiscoveryRecord;
}

// A u64 passes 2^53, so its digits are taken from the text. A reviver of JSON.parse is given them, but costs thirty times as much:
// a few records of many small values, which anybody could write who may write in the directory, would stop everybody else for a second.
function findId(text: string, value: unknown): bigint | undefined {
  const found = text.matchAll(/"instance_id"\s*:\s*(\d+)/g);
  for (const [, digits = ""] of found) if (Number(digits) === value) return BigInt(digits);
  return undefined;
}

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === "object" && value !== null;
}

const namePattern = /^[a-z0-9_-]{1,128}$/;
const maxId = 2n ** 64n - 1n;

// Everything the code relies on: a foreign record may be anything, and must not trouble those who meet it later.
function findMissing(value: Readonly<Record<string, unknown>>): string | undefined {
  for (const name of ["namespace", "component", "endpoint"]) {
    const part = value[name];
    if (typeof part !== "string" || !namePattern.test(part)) return name;
  }
  const id = value["instance_id"];
  if (typeof id !== "bigint" || id > maxId) return "instance_id";
  if (value["type"] === "Endpoint") {
    const transport = value["transport"] as { tcp?: unknown } | null | undefined;
    if (typeof transport?.tcp !== "string") return "transport.tcp";
    return areLabels(value["dyn_labels"] ?? {}) ? undefined : "dyn_labels";
  }
  if (value["type"] === "Model")
    return findMissingOfCard(value["card_json"] as Record<string, unknown> | null | undefined);
  return "type";
}

// A prefill worker's model_type is empty.
function findMissingOfCard(card: Readonly<Record<string, unknown>> | null | undefined): string | undefined {
  const name = card?.["display_name"];
  if (!card || !isModelName(name)) return `card_json.display_name of 1 to ${maxModelNameLength} characters`;
  const text = ["model_type", "model_input"].find((field) => typeof card[field] !== "string");
  const count = ["context_length", "kv_cache_block_size", "migration_limit"].find(
    (field) => !isNonNegative(card[field] ?? 0),
  );
  const time = isTime(card["dyn_created"] ?? 0) ? undefined : "dyn_created";
  const missing = text ?? count ?? time ?? (isNames(card["dyn_capabilities"] ?? []) ? undefined : "dyn_capabilities");
  return missing && `card_json.${missing}`;
}

function isNames(value: unknown): boolean {
  return Array.isArray(value) && value.length <= 64 && value.every((name) => typeof name === "string");
}

// Up to the year 9999.
function isTime(value: unknown): boolean {
  return Number.isInteger(value) && isNonNegative(value) && Number(value) < 253_402_300_800;
}

function isNonNegative(value: unknown): boolean {
  return typeof value === "number" && value >= 0;
}
