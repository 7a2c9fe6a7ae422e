// A handler is called once for a request, unless somebody has said that it may run twice.
import { describe, expect, test } from "vitest";
import {
  createMemorySpace,
  createRuntime,
  RuntimeError,
  type CallOptions,
  type Client,
  type ClientOptions,
  type Runtime,
  type ServeOptions,
} from "../../../packages/runtime/src/index.ts";
import { address, config, failureOf } from "../peers.ts";

interface Bank extends AsyncDisposable {
  readonly client: Client<object, unknown>;
  /** Calls of the handler so far. */
  charges(): number;
}

interface BankOptions {
  readonly serve?: ServeOptions<unknown>;
  readonly client?: ClientOptions;
  readonly instances?: number;
  /** What the first calls of the handler fail with; undefined = its process is killed. */
  readonly failure?: () => RuntimeError;
  readonly failing?: number;
}

async function openBank({
  serve,
  client: clientOptions,
  instances = 3,
  failure,
  failing = 1,
}: BankOptions): Promise<Bank> {
  const memorySpace = createMemorySpace();
  const open = (): Promise<Runtime> => createRuntime({ config: { ...config, log: "off" }, memorySpace });
  const caller = await open();
  const servers: Runtime[] = [];
  let charges = 0;
  for (let index = 0; index < instances; index += 1) {
    const server = await open();
    servers.push(server);
    await server.endpoint(address).serve(async (_request, { signal }) => {
      charges += 1;
      if (charges > failing) return "charged";
      if (failure) throw failure();
      const aborted = new Promise((_resolve, reject) =>
        signal.addEventListener("abort", () => reject(signal.reason as Error)),
      );
      void server.kill();
      return aborted;
    }, serve);
  }
  const client = caller.client<object, unknown>(address, clientOptions);
  await client.waitForInstances({ count: instances });
  return {
    client,
    charges: () => charges,
    async [Symbol.asyncDispose]() {
      await Promise.all([caller, ...servers].map((each) => each.close()));
    },
  };
}

const overloaded = (): RuntimeError => new RuntimeError("overloaded", "the till is full");
const internal = (): RuntimeError => new RuntimeError("internal", "the till is broken");

type Case = readonly [name: string, options: BankOptions, call: CallOptions, charges: number, code: string | undefined];

describe("a handler that has begun", () => {
  test.each<Case>([
    ["and is lost is not called again", {}, {}, 1, "disconnected"],
    ["and refuses is not called again", { failure: overloaded }, {}, 1, "overloaded"],
    ["and is lost is called again where the endpoint is idempotent", { serve: { idempotent: true } }, {}, 2, undefined],
    [
      "and refuses is called again where the endpoint is idempotent",
      { serve: { idempotent: true }, failure: overloaded },
      {},
      2,
      undefined,
    ],
    ["and is lost is called again where the client has a policy", { client: { retry: {} } }, {}, 2, undefined],
    ["and is lost is called again where the call has a policy", {}, { retry: {} }, 2, undefined],
    [
      "is not called again where the call has none, whatever the client has",
      { client: { retry: {} } },
      { retry: false },
      1,
      "disconnected",
    ],
    [
      "is not called again where the client wants one attempt",
      { serve: { idempotent: true }, client: { retry: false } },
      {},
      1,
      "disconnected",
    ],
    [
      "is called as often as the policy says",
      { failure: overloaded, failing: 9, client: { retry: { attempts: 2 } } },
      {},
      2,
      "overloaded",
    ],
    [
      "is called again after the codes that the policy names",
      { failure: internal, client: { retry: { codes: ["internal"] } } },
      {},
      2,
      undefined,
    ],
    [
      "is not called again after others",
      { failure: overloaded, client: { retry: { codes: ["internal"] } } },
      {},
      1,
      "overloaded",
    ],
  ])("%s", async (_name, options, call, charges, code) => {
    await using bank = await openBank(options);
    const called = bank.client.call({}, call);
    if (code === undefined) expect(await called).toBe("charged");
    else expect((await failureOf(called)).code).toBe(code);
    expect(bank.charges()).toBe(charges);
  });
});

test("a request that no handler has had goes to another instance, whoever serves it", async () => {
  await using bank = await openBank({ serve: { requestLimit: 1 }, instances: 2, failing: 0 });
  const [first, second] = bank.client.instances;
  expect(first?.isIdempotent ?? second?.isIdempotent).toBeUndefined();
  expect(await Promise.all([bank.client.call({}), bank.client.call({})])).toEqual(["charged", "charged"]);
  expect(bank.charges()).toBe(2);
});

test.each([
  [{ attempts: 0 }, "retry.attempts must be a whole number from 1 to 8, got 0"],
  [{ attempts: 1.5 }, "retry.attempts must be a whole number from 1 to 8, got 1.5"],
  [{ backoffMs: -1 }, "retry.backoffMs must be a whole number from 0 to 60000, got -1"],
  [{ codes: ["gone"] }, 'retry.codes has "gone", expected some of invalid_argument, '],
  [{ codes: "unavailable" }, "retry.codes must be a list of error codes"],
  [{ attempt: 2 }, "attempt is no option"],
  ["often", "retry must be false or an object"],
])("a policy %j is refused by name, for a client and for a call", async (retry, message) => {
  await using runtime = await createRuntime({ config: { ...config, log: "off" } });
  const given = { retry } as unknown as CallOptions;
  expect(() => runtime.client(address, given as ClientOptions)).toThrow(message);
  expect(() => runtime.client(address).generate({}, given)).toThrow(message);
});
