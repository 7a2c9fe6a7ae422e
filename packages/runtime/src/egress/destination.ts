/** Where a request is to go, as its caller says. */
import { RuntimeError } from "../errors.ts";
import { describeValue } from "../excerpt.ts";
import { isInstanceId } from "../ids.ts";
import type { Choosing } from "./pick.ts";
import type { RoutedRequest } from "./routed-request.ts";

/** Of the options of a call. */
export interface DestinationOptions {
  readonly instanceId?: string;
  readonly key?: string;
}

/** What the router makes of it. */
export type Destination = Pick<RoutedRequest, "wanted" | "affinityKey">;

/** Programs may give anything, and so may their `keyOf`. @throws RuntimeError `invalid_argument`. */
export function toDestination(
  request: unknown,
  { instanceId, key }: DestinationOptions,
  keyOf: Choosing["keyOf"],
): Destination {
  if (instanceId !== undefined && !isInstanceId(instanceId)) {
    const got = describeValue(instanceId);
    throw new RuntimeError("invalid_argument", `instanceId must be the text of a decimal u64, got ${got}`);
  }
  if (key !== undefined || instanceId !== undefined || !keyOf)
    return { wanted: instanceId, affinityKey: key === undefined ? undefined : checkKey(key) };
  return { wanted: undefined, affinityKey: checkKey(keyOf(request)) };
}

function checkKey(key: unknown): string {
  if (typeof key === "string") return key;
  throw new RuntimeError("invalid_argument", `the key of a request must be a text, got ${describeValue(key)}`);
}
