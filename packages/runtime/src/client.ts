/** What users call an endpoint with. */
import { createAnswer, readOne, type Answer, type AnswerParts } from "./answer.ts";
import { callAll, type AllOptions, type InstanceResult, type OneOptions } from "./call-all.ts";
import type { CallOptions, GenerateOptions } from "./egress/call-options.ts";
import type { Discovery } from "./discovery/discovery.ts";
import type { Instance } from "./discovery/instance.ts";
import { takeLabels } from "./discovery/labels.ts";
import { openLiveSet, type LiveSet } from "./discovery/live-set.ts";
import { formatAddress, formatPath, type EndpointAddress } from "./discovery/records.ts";
import type { AttemptOptions } from "./egress/attempt.ts";
import type { AnswerChain } from "./egress/intercepted-answer.ts";
import { createPick, toChoosing, type Choosing, type RoutingPolicy } from "./egress/pick.ts";
import { createRetryBudget, toRetrying, type RetryPolicy } from "./egress/retry.ts";
import type { RouterOptions } from "./egress/router.ts";
import { toChecks, toTarget, type ContractChecks, type EndpointContract } from "./endpoint-contract.ts";
import { assertInterceptors, createChain, type Interceptor } from "./interceptors.ts";
import type { Fields } from "./logging/format.ts";
import type { Logger } from "./logging/logger.ts";
import type { ClientStatus } from "./runtime-status.ts";
import { assertFunction, assertSwitch, assertWhole, refuseOthers, type OptionNames } from "./settings/options.ts";
import type { CallScopes } from "./trace/call-scope.ts";

export interface ClientOptions<Request = unknown> {
  /** Only instances that are admitted are asked, for instance those that serve one of several models at the same endpoint. Default false: all are. */
  readonly admittedOnly?: boolean;
  /** How the instance of a request is chosen: the name of a policy, or a function that gives the request's key. Default `round-robin`. */
  readonly policy?: RoutingPolicy<Request>;
  /** When another instance is tried after a failure. Default: after a failure that says so, if no handler was called or the endpoint is idempotent. `false`: never. */
  readonly retry?: RetryPolicy | false;
  /** Calls that a handler of the same runtime makes have the deadline, the cancellation and the ids of the request that it serves. Default true. */
  readonly inherit?: boolean;
  /** Only instances that were served with all of these labels are asked. Default: with any or none. */
  readonly labels?: Readonly<Record<string, string>>;
  /** Called when an instance has joined, for those that are there already soon after `client` has returned. What it throws is logged. Default: nobody is told. */
  readonly onJoin?: (instance: Instance) => unknown;
  /** Called when an instance has left, with what it was; not when the client closes. What it throws is logged. Default: nobody is told. */
  readonly onLeave?: (instance: Instance) => unknown;
  /** What lines about instances that join and leave say besides, for instance of which model they are counted. Default: nothing. */
  readonly logFields?: Fields;
  /** What each request and its answer go through, the first outermost; those of the runtime are around them. Default: nothing. */
  readonly interceptors?: readonly Interceptor[];
}

export interface ContractClientOptions<Request = unknown> extends ClientOptions<Request> {
  /** What is held to the contract at this end, too: `requests` before they are sent, `items` as they arrive, or `both`. Default `false`: nothing, the worker looks at both. */
  readonly validate?: ContractChecks | false;
}

const clientOptions: Required<OptionNames<ContractClientOptions>> = {
  admittedOnly: true,
  policy: true,
  retry: true,
  inherit: true,
  labels: true,
  onJoin: true,
  onLeave: true,
  logFields: true,
  interceptors: true,
  validate: true,
};

export interface WaitOptions {
  /** So many instances must be there. Default 1. */
  readonly count?: number;
  /** Ends the wait. Default: nothing does, but the end of the client. */
  readonly signal?: AbortSignal;
}

/** Calls one endpoint. It belongs to its runtime, which closes it. */
export interface Client<Request, Item> extends Disposable {
  readonly instances: readonly Instance[];
  /** Resolves once enough instances can be reached. Rejects with `deadline_exceeded` after an `AbortSignal.timeout`, with the reason of any other signal, or `unavailable` once the client is disposed. */
  waitForInstances(options?: WaitOptions): Promise<readonly Instance[]>;
  /** Nothing is sent before the answer is read, which is once. Leaving the loop cancels the request. @throws RuntimeError `invalid_argument` on a request or an option that cannot be sent. */
  generate(request: Request, options?: GenerateOptions): Answer<Item>;
  /** Ask for one item, at once: resolves with it when the answer has ended. @throws RuntimeError `protocol` if there is none, or one more; else as reading an answer. */
  call(request: Request, options?: CallOptions): Promise<Item>;
  /** Ask each instance there is now for one item. Resolves with a result for each, in the order of `instances`, whatever some of them come to.
   *  @throws RuntimeError `invalid_argument` on a request or an option that cannot be sent: nobody is asked then. */
  all(request: Request, options?: AllOptions): Promise<readonly InstanceResult<Item>[]>;
  /** True for the id of an instance that can be sent requests. */
  has(instanceId: string): boolean;
  /** With the option `admittedOnly`: send requests to an instance, too, once it can be reached. */
  admit(instanceId: string): void;
  /** With the option `admittedOnly`: send it none any more. */
  dismiss(instanceId: string): void;
  /** Look for instances no more. What is under way goes on, and `using` does the same. Closing it again does nothing. */
  close(): void;
}

/** What all clients of a runtime use. */
export interface ClientParts extends Omit<AttemptOptions, "mode"> {
  readonly discovery: Discovery;
  readonly scopes: CallScopes;
  /** Those that are open; the runtime closes them. */
  readonly clients: Map<Disposable, () => ClientStatus>;
  /** Of all its endpoints and clients. */
  readonly interceptors: readonly Interceptor[];
}

/** Create a client of the endpoint `target`. @throws RuntimeError `invalid_argument` on a malformed address or another policy. */
export function createClient<Request, Item>(
  parts: ClientParts,
  target: string | EndpointContract,
  options: ContractClientOptions<Request>,
): Client<Request, Item> {
  const { policy = "round-robin", retry, inherit = true, interceptors = [], validate = false, ...following } = options;
  assertSwitch("inherit", inherit);
  assertInterceptors(interceptors);
  const { clients, scopes, now } = parts;
  const { mode, keyOf } = toChoosing(policy);
  const routing = toRouting(parts, mode);
  const { address, contract } = toTarget(target);
  const around = [...toChecks(contract, validate), ...parts.interceptors, ...interceptors];
  const through = toThrough(around, address, parts.log);
  const live = followInstances(parts, address, following);
  const path = formatPath(address);
  const candidates = (): readonly Instance[] => live.instances;
  const to: AnswerParts = { routing, path, candidates, retry: toRetrying(retry), keyOf, scopes, inherit, through };
  const close = (): void => {
    live[Symbol.dispose]();
    clients.delete(client);
  };
  const client: Client<Request, Item> = {
    get instances() {
      return live.instances;
    },
    async waitForInstances({ count = 1, signal } = {}) {
      assertWhole("count", count, 0);
      return live.waitFor(count, signal);
    },
    has: (id) => live.has(id),
    admit: (id) => live.admit(id),
    dismiss: (id) => live.dismiss(id),
    generate: (request, options = {}) => createAnswer<Item>(to, request, options),
    call: async (request, options = {}) => readOne(createAnswer<Item>(to, request, options)),
    async all(request, options = {}) {
      const ask = (one: OneOptions): Promise<Item> => readOne(createAnswer<Item>(to, request, one));
      return callAll(live.instances, request, options, { ask, now });
    },
    close,
    [Symbol.dispose]: close,
  };
  clients.set(client, () => ({ endpoint: formatAddress(address), instances: live.instances.map(({ id }) => id) }));
  return client;
}

function toThrough(
  interceptors: readonly Interceptor[],
  address: EndpointAddress,
  all: Logger,
): AnswerChain | undefined {
  const chain = createChain(interceptors);
  if (!chain) return undefined;
  const { namespace, component, endpoint } = address;
  const log = all.child({ target: `${namespace}::${component}::${endpoint}` });
  return { chain, address: formatAddress(address), log };
}

function toRouting({ peers, health, metrics, tracer, now, log }: ClientParts, mode: Choosing["mode"]): RouterOptions {
  return {
    peers,
    health,
    metrics,
    tracer,
    now,
    log: log.child({ target: "request_span" }),
    mode,
    pick: createPick(mode, Math.random),
    budget: createRetryBudget(),
    random: Math.random,
  };
}

type FollowOptions = Pick<ClientOptions, "admittedOnly" | "labels" | "onJoin" | "onLeave" | "logFields">;

function followInstances(
  { discovery, peers: statuses, log: all }: ClientParts,
  address: EndpointAddress,
  { admittedOnly = false, labels: wanted = {}, onJoin, onLeave, logFields, ...others }: FollowOptions,
): LiveSet {
  refuseOthers(others, clientOptions);
  if (onJoin !== undefined) assertFunction("onJoin", onJoin);
  if (onLeave !== undefined) assertFunction("onLeave", onLeave);
  const labels = takeLabels(wanted);
  const log = all.child({ target: "dyn_runtime::discovery", ...(logFields && { fields: logFields }) });
  return openLiveSet({ discovery, statuses, address, log, admittedOnly, labels, onJoin, onLeave });
}
