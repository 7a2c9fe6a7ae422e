/** Keys, and who is asked for one. */
import type { Audience } from "@dyn/runtime/internal";
import type { SecurityScheme } from "./openapi.ts";

const client = "An API key, where `--api-keys-file` is set.";
const operator = "An operator's key, where `--operator-keys-file` is set.";

export const securitySchemes: Readonly<Record<string, SecurityScheme>> = {
  apiKey: { type: "http", scheme: "bearer", description: client },
  apiKeyHeader: { type: "apiKey", in: "header", name: "x-api-key", description: client },
  operatorKey: { type: "http", scheme: "bearer", description: operator },
  operatorKeyHeader: { type: "apiKey", in: "header", name: "x-api-key", description: operator },
};

const schemes: Readonly<Record<Audience, readonly (keyof typeof securitySchemes)[]>> = {
  anybody: [],
  clients: ["apiKey", "apiKeyHeader"],
  operators: ["operatorKey", "operatorKeyHeader"],
  both: ["apiKey", "apiKeyHeader", "operatorKey", "operatorKeyHeader"],
};

/** Any one of these will do. The empty one is no key. */
export function toSecurity(
  audience: Audience,
  isOpen: boolean,
): readonly Readonly<Record<string, readonly string[]>>[] {
  const keys = schemes[audience].map((scheme) => ({ [scheme]: [] }));
  return isOpen && keys.length > 0 ? [{}, ...keys] : keys;
}
