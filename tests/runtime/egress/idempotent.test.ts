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
  type Serving,
} from "../../../packages/runtime/src/index.ts";
import { renderMetrics } from "../../../packages/runtime/src/internal.ts";
import { eventually } from "../../support/cluster.ts";
import { parseOpenMetrics } from "../../support/open-metrics.ts";
import { address, collect, config, failureOf } from "../peers.ts";

interface Order {
  readonly id: string;
}

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
const saying =
  (code: "overloaded" | "unavailable" | "internal" | "disconnected", retryable: boolean) => (): RuntimeError =>
    new RuntimeError(code, "the till is closed", { retryable });

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
      "and says itself that another may be tried is called again, with a code that would go elsewhere anyway",
      { failure: saying("unavailable", true) },
      {},
      2,
      undefined,
    ],
    [
      "and says itself that another may be tried is called again, with a code that would not",
      { failure: saying("internal", true) },
      {},
      2,
      undefined,
    ],
    [
      "and says itself that another may be tried is called again, with a code that is not its to say",
      { failure: saying("disconnected", true) },
      {},
      2,
      undefined,
    ],
    [
      "and says that no other may be tried is not called again, though its endpoint is idempotent",
      { serve: { idempotent: true }, failure: saying("overloaded", false) },
      {},
      1,
      "overloaded",
    ],
    [
      "and says that no other may be tried is not called again, though the client has a policy",
      { failure: saying("overloaded", false), client: { retry: {} } },
      {},
      1,
      "overloaded",
    ],
    [
      "and says that no other may be tried is called again where the policy names its code",
      { failure: saying("overloaded", false), client: { retry: { codes: ["overloaded"] } } },
      {},
      2,
      undefined,
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

test("the rest of an answer is asked for where its caller says what it is, though the handler has begun", async () => {
  const memorySpace = createMemorySpace();
  const open = (): Promise<Runtime> => createRuntime({ config: { ...config, log: "off" }, memorySpace });
  await using caller = await open();
  await using first = await open();
  await using second = await open();
  let calls = 0;
  for (const server of [first, second])
    await server.endpoint(address).serve(async function* () {
      calls += 1;
      yield calls;
      if (calls === 1) throw new RuntimeError("overloaded", "no more of it here");
    });
  const answer = caller.client<unknown, number>(address).generate({}, { resume: () => ({}) });
  expect(await collect(answer)).toEqual([1, 2]);
  expect(answer.resumptions).toBe(1);
});

test("a request that no handler has had goes to another instance, whoever serves it", async () => {
  await using bank = await openBank({ serve: { requestLimit: 1 }, instances: 2, failing: 0 });
  const [first, second] = bank.client.instances;
  expect(first?.isIdempotent ?? second?.isIdempotent).toBeUndefined();
  expect(await Promise.all([bank.client.call({}), bank.client.call({})])).toEqual(["charged", "charged"]);
  expect(bank.charges()).toBe(2);
});

test("a request that is cut while it waits for its place goes to another instance, and its handler is called once", async () => {
  const memorySpace = createMemorySpace();
  const open = (): Promise<Runtime> =>
    createRuntime({ config: { ...config, log: "off", drainTimeoutMs: 50 }, memorySpace });
  await using caller = await open();
  await using full = await open();
  await using free = await open();
  const asked: string[] = [];
  const serve = (name: string, server: Runtime): Promise<Serving> =>
    server.endpoint(address).serve(
      async ({ id }: Order, { signal }) => {
        asked.push(`${id} at ${name}`);
        if (name === "free") return name;
        return new Promise<string>((_resolve, reject) =>
          signal.addEventListener("abort", () => reject(signal.reason as Error)),
        );
      },
      { requestLimit: 1 },
    );
  const { instanceId } = await serve("full", full);
  const client = caller.client<Order, string>(address);
  await client.waitForInstances();
  const running = failureOf(client.call({ id: "running" }, { instanceId }));
  await eventually("the first request running", () => asked.length === 1);
  const waiting = client.call({ id: "waiting" });
  await eventually("the second request waiting", async () => {
    const { body } = await renderMetrics(full.metrics.registry, "openmetrics");
    return parseOpenMetrics(body).value("dynamo_work_handler_queue_depth") === 1;
  });
  await serve("free", free);
  await client.waitForInstances({ count: 2 });
  await full.close();
  expect((await running).code).toBe("unavailable");
  expect(await waiting).toBe("free");
  expect(asked).toEqual(["running at full", "waiting at free"]);
});

describe("an error of another service that a handler passes on", () => {
  test.each([
    ["internal", true],
    ["unavailable", true],
  ] as const)("is not its own word: %s, retryable %s, is not tried elsewhere", async (code, retryable) => {
    await using service = await openBank({ failure: saying(code, retryable), failing: 9, instances: 1 });
    let charges = 0;
    const memorySpace = createMemorySpace();
    const open = (): Promise<Runtime> => createRuntime({ config: { ...config, log: "off" }, memorySpace });
    await using caller = await open();
    await using first = await open();
    await using second = await open();
    for (const server of [first, second])
      await server.endpoint(address).serve(async () => {
        charges += 1;
        return service.client.call({});
      });
    const client = caller.client<object, unknown>(address);
    await client.waitForInstances({ count: 2 });
    expect(await failureOf(client.call({}))).toMatchObject({ code, retryable: false });
    expect({ charges, asked: service.charges() }).toEqual({ charges: 1, asked: 1 });
  });
});

test.each([
  [{ attempts: 0 }, "retry.attempts must be a whole number from 1 to 8, got 0"],
  [{ attempts: 1.5 }, "retry.attempts must be a whole number from 1 to 8, got 1.5"],
  [{ backoffMs: -1 }, "retry.backoffMs must be a whole number from 0 to 60000, got -1"],
  [{ codes: ["gone"] }, 'retry.codes has "gone", expected some of invalid_argument, '],
  [{ codes: "unavailable" }, "retry.codes must be a list of error codes"],
  [{ attempt: 2 }, "attempt is no option; did you mean attempts?"],
  ["often", "retry must be false or an object"],
])("a policy %j is refused by name, for a client and for a call", async (retry, message) => {
  await using runtime = await createRuntime({ config: { ...config, log: "off" } });
  const given = { retry } as unknown as CallOptions;
  expect(() => runtime.client(address, given as ClientOptions)).toThrow(message);
  expect(() => runtime.client(address).generate({}, given)).toThrow(message);
});
