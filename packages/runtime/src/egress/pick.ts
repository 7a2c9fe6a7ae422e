/** Which instance gets the next attempt. */
import type { Instance } from "../discovery/instance.ts";
import { RuntimeError } from "../errors.ts";
import { describeValue } from "../excerpt.ts";
import { assertFunction, refuseOthers } from "../settings/options.ts";

/** How an instance can be chosen; docs/routing-and-failure.md says when to take which. */
export const routerModes = ["round-robin", "random", "least-loaded", "power-of-two", "direct"] as const;
/** One of `routerModes`. */
export type RouterMode = (typeof routerModes)[number];

/** Requests with the same key go to the same instance, as long as that has no more than 1.25 times its share of what is under way. */
export interface KeyPolicy<Request = unknown> {
  /** The key of a request, for instance the user's name. */
  readonly key: (request: Request) => string;
}

/** How a client chooses the instance of a request. */
export type RoutingPolicy<Request = unknown> = RouterMode | KeyPolicy<Request>;

/** What a policy comes to. */
export interface Choosing {
  /** As lines and spans name it. */
  readonly mode: RouterMode | "key";
  /** The key of a request whose caller gives none. Undefined = it has none. */
  readonly keyOf?: (request: unknown) => string;
}

/** Programs may give anything. @throws RuntimeError `invalid_argument` for what is no policy. */
export function toChoosing<Request>(policy: RoutingPolicy<Request>): Choosing {
  if (typeof policy === "object" && policy !== null) {
    const { key, ...others } = policy;
    refuseOthers(others, { key: true });
    assertFunction("policy.key", key);
    return { mode: "key", keyOf: key as (request: unknown) => string }; // Request is the caller's claim about the endpoint
  }
  if (routerModes.includes(policy)) return { mode: policy };
  throw new RuntimeError(
    "invalid_argument",
    `policy must be one of ${routerModes.join(", ")}, or an object with \`key\`, got ${describeValue(policy)}`,
  );
}

/** What a choice is made by. */
export interface PickInput {
  /** Those that may be chosen, at least one. */
  readonly instances: readonly Instance[];
  /** Attempts of this process that are under way at the instance with that key. */
  readonly loadOf: (key: string) => number;
}

/** @returns undefined when nobody fits. */
export type Pick = (input: PickInput) => Instance | undefined;

/** A choice of its own for each client: round robin has a turn to remember. `random` gives numbers from 0 to below 1. */
export function createPick(mode: Choosing["mode"], random: () => number): Pick {
  switch (mode) {
    case "round-robin":
      return createRoundRobin();
    case "random":
      return ({ instances }) => draw(instances, random);
    case "least-loaded":
      return ({ instances, loadOf }) => draw(leastLoaded(instances, loadOf), random);
    case "power-of-two":
      return ({ instances, loadOf }) => leastLoaded(drawTwo(instances, random), loadOf)[0];
    case "direct": // a request that names an instance leaves no choice
    case "key": // nor does one that has a key
      return () => undefined;
  }
}

// Everyone in turn, by the order of ids and not of places: whoever is left out for a while moves nobody else's turn.
function createRoundRobin(): Pick {
  let last = "";
  return ({ instances }) => {
    const next = instances.find(({ id }) => isAfter(id, last)) ?? instances[0];
    last = next?.id ?? last;
    return next;
  };
}

// Decimal u64 without leading zeros: longer is larger.
function isAfter(id: string, last: string): boolean {
  return id.length === last.length ? id > last : id.length > last.length;
}

function draw(instances: readonly Instance[], random: () => number): Instance | undefined {
  return instances[Math.floor(random() * instances.length)];
}

function drawTwo(instances: readonly Instance[], random: () => number): Instance[] {
  const first = draw(instances, random);
  const second = draw(
    instances.filter((each) => each !== first),
    random,
  );
  return [first, second].filter((each) => each !== undefined);
}

function leastLoaded(instances: readonly Instance[], loadOf: PickInput["loadOf"]): Instance[] {
  const least = Math.min(...instances.map(({ key }) => loadOf(key)));
  return instances.filter(({ key }) => loadOf(key) === least);
}
