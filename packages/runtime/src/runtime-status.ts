/** A runtime at one moment, as a plain object: for a page of your own, a log line, a test. */
import type { Condition } from "./condition.ts";
import type { CheckStates } from "./system/checks.ts";
import type { ProcessStage } from "./system/status.ts";
import { version } from "./version.ts";

/** A snapshot: nothing in it changes, and all of it can be written as JSON. */
export interface RuntimeStatus {
  /** Of `@dyn/runtime`. */
  readonly version: string;
  /** Decimal u64. */
  readonly instanceId: string;
  /** Since the runtime was created, ms. */
  readonly uptimeMs: number;
  /** Of the process, as `/health` of its system server says it. */
  readonly stage: ProcessStage;
  /** This runtime takes no more requests. */
  readonly draining: boolean;
  /** What it serves, in the order in which that began. */
  readonly endpoints: readonly EndpointStatus[];
  /** Its clients that are open, in the order in which they were created. */
  readonly clients: readonly ClientStatus[];
  /** Open connections of the request plane: from callers, and to instances. */
  readonly connections: { readonly callers: number; readonly instances: number };
  /** What its health checks said last, by name. */
  readonly checks: CheckStates;
  readonly discovery: Condition;
  /** What requests may take of the memory of this process, and have taken. */
  readonly memory: { readonly limitBytes: number; readonly usedBytes: number };
}

/** One served endpoint. */
export interface EndpointStatus {
  /** `dyn://namespace.component.endpoint`. */
  readonly endpoint: string;
  /** Requests in their handler. */
  readonly running: number;
  /** Requests that wait for their first place. */
  readonly queued: number;
}

/** One client. */
export interface ClientStatus {
  /** `dyn://namespace.component.endpoint`. */
  readonly endpoint: string;
  /** Ids of the instances that may be asked. */
  readonly instances: readonly string[];
}

/** What it is read from. */
export interface StatusParts {
  readonly runtime: {
    readonly instanceId: string;
    readonly draining: AbortSignal;
    readonly health: { readonly states: CheckStates };
    readonly discovery: { readonly condition: Condition };
    readonly memory: { readonly limitBytes: number; readonly usedBytes: number };
  };
  readonly uptimeMs: number;
  readonly stage: ProcessStage;
  readonly servings: Iterable<() => EndpointStatus>;
  readonly clients: Iterable<() => ClientStatus>;
  readonly connections: { readonly callers: number; readonly instances: number };
}

/** Read it all, once. */
export function readStatus({ runtime, servings, clients, ...others }: StatusParts): RuntimeStatus {
  const { instanceId, draining, health, discovery, memory } = runtime;
  const { limitBytes, usedBytes } = memory;
  return {
    version,
    instanceId,
    ...others,
    draining: draining.aborted,
    endpoints: [...servings].map((read) => read()),
    clients: [...clients].map((read) => read()),
    checks: health.states,
    discovery: { ...discovery.condition },
    memory: { limitBytes, usedBytes },
  };
}
