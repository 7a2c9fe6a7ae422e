/** Which instance gets the next attempt. */
import type { Instance } from "../discovery/instance.ts";
import { RuntimeError } from "../errors.ts";

/** How an instance can be chosen; docs/routing-and-failure.md says when to take which. */
export const routerModes = ["round-robin", "random", "least-loaded", "power-of-two", "direct"] as const;
/** One of `routerModes`. */
export type RouterMode = (typeof routerModes)[number];

/** Programs may give anything. @throws RuntimeError `invalid_argument` for what is no mode. */
export function checkRouterMode(mode: RouterMode): RouterMode {
  if (routerModes.includes(mode)) return mode;
  throw new RuntimeError(
    "invalid_argument",
    `routerMode must be one of ${routerModes.join(", ")}, got ${JSON.stringify(mode)}`,
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
export function createPick(mode: RouterMode, random: () => number): Pick {
  switch (mode) {
    case "round-robin":
      return createRoundRobin();
    case "random":
      return ({ instances }) => draw(instances, random);
    case "least-loaded":
      return ({ instances, loadOf }) => draw(leastLoaded(instances, loadOf), random);
    case "power-of-two":
      return ({ instances, loadOf }) => leastLoaded(drawTwo(instances, random), loadOf)[0];
    case "direct":
      return () => undefined; // a request that names an instance leaves no choice
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
