/** What both ends of an endpoint agree on: its address, and schemas of its requests and items. */
import { parseAddress, type EndpointAddress } from "./discovery/records.ts";
import type { ErrorCode } from "./error-table.ts";
import { maxParamChars, RuntimeError } from "./errors.ts";
import { describeValue, excerpt } from "./excerpt.ts";
import { GivenItems } from "./given-items.ts";
import type { Handler } from "./handler.ts";
import type { Interceptor } from "./interceptors.ts";
import { orAborted } from "./lifetime.ts";
import { assertFunction, refuseOthers } from "./settings/options.ts";
import {
  formatIssuePath,
  isStandardSchema,
  type SchemaIssue,
  type SchemaResult,
  type StandardSchema,
} from "./standard-schema.ts";

/** An endpoint with the types of its requests and items. Both ends import it. */
export interface EndpointContract<
  Request extends StandardSchema = StandardSchema,
  Item extends StandardSchema = StandardSchema,
> {
  /** `dyn://namespace.component.endpoint`. */
  readonly address: string;
  /** A caller gives what this schema takes, and a handler gets what it makes of it. */
  readonly request: Request;
  /** A handler gives what this schema takes, and a caller gets what it makes of it. */
  readonly item: Item;
}

/** What a client looks at besides the worker, which looks at everything. */
export type ContractChecks = "requests" | "items" | "both";

const maxIssues = 3;
const maxIssueChars = 200;

/** Create a contract; nothing is opened. @throws RuntimeError `invalid_argument` on a malformed address, and on what is no schema. */
export function defineEndpoint<Request extends StandardSchema, Item extends StandardSchema>(
  contract: EndpointContract<Request, Item>,
): EndpointContract<Request, Item> {
  const { address, request, item, ...others } = contract;
  refuseOthers(others, { address: true, request: true, item: true });
  parseAddress(address);
  for (const [name, schema] of Object.entries<unknown>({ request, item })) {
    if (isStandardSchema(schema)) continue;
    throw new RuntimeError(
      "invalid_argument",
      `${name} must be a schema that speaks Standard Schema 1, as those of zod, valibot and arktype do, got ${describeValue(schema)}`,
    );
  }
  return Object.freeze({ address, request, item });
}

/** What is served or called: an address, or a contract and its address. @throws RuntimeError `invalid_argument` if it is neither. */
export function toTarget(given: string | EndpointContract): {
  readonly address: EndpointAddress;
  readonly contract: EndpointContract | undefined;
} {
  if (typeof given !== "object" || given === null) return { address: parseAddress(given), contract: undefined };
  const contract = defineEndpoint(given);
  return { address: parseAddress(contract.address), contract };
}

/** The handler behind its contract: it is called with what the schema makes of a request, and what the schema makes of its items is sent. */
export function serveContract(
  contract: EndpointContract,
  handler: Handler<unknown, unknown>,
): Handler<unknown, unknown> {
  assertFunction("the handler", handler);
  const { request: requests, item: items } = contract;
  return async function* (given, context) {
    const { signal } = context;
    const request = await validate(requests, given, signal);
    if (request.issues) throw toError("invalid_argument", "the request", request.issues);
    const answer = new GivenItems(handler(request.value, context), "the handler");
    let index = 0;
    for await (const item of answer) {
      const validated = validate(items, item, signal);
      const result = validated instanceof Promise ? await validated : validated; // most are there at once
      if (result.issues) throw toError("internal", `item ${index} of the handler`, result.issues);
      yield result.value;
      index += 1;
    }
    await answer.end();
  };
}

/** What a client does for its contract. @throws RuntimeError `invalid_argument` on checks that are none, or without a contract. */
export function toChecks(
  contract: EndpointContract | undefined,
  checks: ContractChecks | false,
): readonly Interceptor[] {
  if (checks === false) return [];
  if (!["requests", "items", "both"].includes(checks))
    throw new RuntimeError(
      "invalid_argument",
      `validate must be requests, items, both or false, got ${describeValue(checks)}`,
    );
  if (contract) return [checkContract(contract, checks)];
  throw new RuntimeError(
    "invalid_argument",
    "validate needs a contract of `defineEndpoint`, and the client has an address",
  );
}

// Nothing is changed here: a schema may make something else of a value, and the worker has done so, or will.
function checkContract({ request: requests, item: items }: EndpointContract, checks: ContractChecks): Interceptor {
  return (next) =>
    async function* (call) {
      if (checks !== "items") {
        const { issues } = await validate(requests, call.request, call.signal);
        if (issues) throw toError("invalid_argument", "the request", issues);
      }
      if (checks === "requests") return yield* next(call);
      let index = 0;
      for await (const item of next(call)) {
        const validated = validate(items, item, call.signal);
        const { issues } = validated instanceof Promise ? await validated : validated;
        if (issues) throw toError("protocol", `item ${index} of the answer`, issues);
        yield item;
        index += 1;
      }
    };
}

// A schema knows no signal, and may wait for something that never comes: nobody waits for it any longer than for the answer.
function validate(
  schema: StandardSchema,
  value: unknown,
  signal: AbortSignal,
): SchemaResult<unknown> | Promise<SchemaResult<unknown>> {
  const result = schema["~standard"].validate(value);
  return "then" in result ? orAborted(result, signal) : result; // a promise of another realm is no `Promise` of this one
}

function toError(code: ErrorCode, what: string, issues: readonly SchemaIssue[]): RuntimeError {
  const shown = issues.slice(0, maxIssues).map(describeIssue).join("; ");
  const more = issues.length > maxIssues ? `; and ${issues.length - maxIssues} more` : "";
  const param = code === "invalid_argument" ? excerpt(formatIssuePath(issues[0]?.path), maxParamChars) : "";
  const message = `${what} is not as its contract says: ${shown}${more}`;
  return new RuntimeError(code, message, { ...(param !== "" && { param }) });
}

function describeIssue({ path, message }: SchemaIssue): string {
  const where = excerpt(formatIssuePath(path), maxIssueChars);
  const said = excerpt(message, maxIssueChars);
  return where === "" ? said : `${where}: ${said}`;
}
