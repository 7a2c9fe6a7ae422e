/** The card of a model, by which frontends find it and know what it can do. */
import { countCharacters } from "../counts.ts";
import {
  isModelName,
  maxModelNameLength,
  toSlug,
  type EndpointAddress,
  type ModelRecord,
} from "../discovery/records.ts";
import { RuntimeError } from "../errors.ts";
import { describeValue } from "../excerpt.ts";
import type { Capability, WorkerRole } from "./contract.ts";

// What must be there besides for a model to be served, in the form of Dynamo's cards.
const needs: Readonly<Record<WorkerRole, readonly unknown[]>> = {
  aggregated: [],
  prefill: [["decode"]],
  decode: [["prefill"]],
};

// In Dynamo's words.
const modelTypes: Readonly<Record<CardOptions["embeddings"], string>> = {
  none: "Chat | Completions",
  also: "Chat | Completions | Embedding",
  only: "Embedding",
};

const known: ReadonlySet<unknown> = new Set<Capability>([
  "tools",
  "images",
  "audio",
  "files",
  "schemas",
  "reasoning",
  "logprobs",
]);

/** What a card says. */
export interface CardOptions {
  readonly model: string;
  readonly role: WorkerRole;
  readonly contextLength: number;
  readonly migrationLimit: number;
  readonly capabilities: readonly Capability[];
  /** It counts tokens, at an endpoint beside this one. */
  readonly isCounting: boolean;
  /** Whether it makes embeddings, and beside them nothing. */
  readonly embeddings: "none" | "also" | "only";
}

/** The record of one instance's model. */
export function toModelRecord(address: EndpointAddress, instanceId: string, options: CardOptions): ModelRecord {
  const { model, role, contextLength, migrationLimit, capabilities, isCounting, embeddings } = options;
  return {
    type: "Model",
    ...address,
    instance_id: BigInt(instanceId),
    card_json: {
      display_name: model,
      slug: toSlug(model),
      context_length: contextLength,
      kv_cache_block_size: 16,
      migration_limit: migrationLimit,
      model_type: role === "prefill" ? "" : modelTypes[embeddings],
      model_input: "Text",
      worker_type: role,
      needs: needs[role],
      runtime_config: {},
      dyn_created: Math.floor(Date.now() / 1000),
      ...(capabilities.length > 0 && { dyn_capabilities: capabilities }),
      ...(isCounting && { dyn_count_tokens: true }),
    },
  };
}

/** Programs may give anything. @throws RuntimeError `invalid_argument`. */
export function checkRole(role: WorkerRole): void {
  if (Object.hasOwn(needs, role)) return;
  throw new RuntimeError(
    "invalid_argument",
    `role must be one of ${Object.keys(needs).join(", ")}, got ${describeValue(role)}`,
  );
}

/** @throws RuntimeError `invalid_argument`. */
export function checkCapabilities(given: unknown): void {
  const wrong = Array.isArray(given) ? given.find((each) => !known.has(each)) : given;
  if (Array.isArray(given) && wrong === undefined) return;
  throw new RuntimeError(
    "invalid_argument",
    `capabilities must be a list of ${[...known].join(", ")}, got ${describeValue(wrong)}`,
  );
}

/** @throws RuntimeError `invalid_argument`. */
export function checkName(model: unknown): void {
  if (isModelName(model)) return;
  const got = typeof model === "string" ? `${countCharacters(model)}` : describeValue(model);
  throw new RuntimeError(
    "invalid_argument",
    `model must be a name of 1 to ${maxModelNameLength} characters, got ${got}`,
  );
}
