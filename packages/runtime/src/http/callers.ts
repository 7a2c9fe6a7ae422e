/** Who asks, and what is for them: clients have API keys, operators keys of their own. */
import type { IncomingHttpHeaders } from "node:http";
import type { RuntimeError } from "../errors.ts";
import { presentedKeys, toKeyError, type ApiKey, type ApiKeys } from "./api-keys.ts";

export interface Caller {
  /** Undefined if it carries none that is known. */
  readonly apiKey: ApiKey | undefined;
  /** May see all there is: requests of others, addresses, ids of traces. */
  readonly isOperator: boolean;
  /** It carries a key that is known, of either kind. */
  readonly hasKey: boolean;
  /** It carries none, and clients are asked for one. */
  readonly isStranger: boolean;
}

/** Whom a route is for: `both` are clients and operators. */
export type Audience = "anybody" | "clients" | "operators" | "both";

export interface Callers {
  find(headers: IncomingHttpHeaders): Caller;
  /** Why a route is not for this caller; undefined if it is. */
  refuse(caller: Caller, audience: Audience, headers: IncomingHttpHeaders): RuntimeError | undefined;
}

/** Keys in use; undefined = nobody is asked for one. */
export interface CallerKeys {
  readonly apiKeys: (() => ApiKeys) | undefined;
  readonly operatorKeys: (() => ApiKeys) | undefined;
}

/** What a port is for: `all`, or one of two that share it. */
export type PortUse = "all" | "clients" | "operators";

/** Operators are known by their keys. Without any by their port, if they have one of their own; else everybody is one, if nobody is asked for a key. */
export function createCallers({ apiKeys, operatorKeys }: CallerKeys, use: PortUse): Callers {
  const isWithoutKey = use === "operators" || !apiKeys;
  return {
    find(headers) {
      const presented = apiKeys || operatorKeys ? presentedKeys(headers) : []; // each is hashed once, for both files
      const apiKey = apiKeys?.().find(presented);
      const operatorKey = operatorKeys?.().find(presented);
      const hasKey = apiKey !== undefined || operatorKey !== undefined;
      const isOperator = use !== "clients" && (operatorKeys ? operatorKey !== undefined : isWithoutKey);
      return { apiKey, isOperator, hasKey, isStranger: !hasKey && apiKeys !== undefined };
    },
    refuse({ apiKey, isOperator }, audience, headers) {
      const isRefused: Readonly<Record<Audience, boolean>> = {
        anybody: false,
        clients: apiKeys !== undefined && apiKey === undefined,
        operators: operatorKeys !== undefined && !isOperator,
        both: apiKey === undefined && !isOperator,
      };
      if (!isRefused[audience]) return undefined;
      return toKeyError(headers, audience === "operators" || !apiKeys ? "operator's key" : "API key");
    },
  };
}
