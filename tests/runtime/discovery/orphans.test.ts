// An instance whose record is gone: lost, or taken away? Its connection tells.
import { createMemorySpace, createRuntime, type Client, type Runtime, type Serving } from "@dyn/runtime";
import { expect, test } from "vitest";
import { createMemoryDiscovery } from "../../../packages/runtime/src/discovery/memory.ts";
import { createLogger } from "../../support/logger.ts";
import { eventually } from "../../support/cluster.ts";
import { follow } from "./spaces.ts";
import { address, collect, config } from "../peers.ts";

interface House extends AsyncDisposable {
  readonly server: Runtime;
  readonly serving: Serving;
  readonly client: Client<unknown, number>;
  /** Take all records away, and say so to everybody. */
  loseRegistry(): void;
  readonly messages: () => unknown[];
}

async function startHouse(): Promise<House> {
  const memorySpace = createMemorySpace();
  const lines: Record<string, unknown>[] = [];
  const log = createLogger({ sink: (record) => lines.push(record) });
  const server = await createRuntime({ config, memorySpace, log: log.pino });
  const caller = await createRuntime({ config, memorySpace, log: log.pino });
  const serving = await server.endpoint(address).serve(async function* () {
    yield 1;
  });
  return {
    server,
    serving,
    client: caller.client(address),
    loseRegistry() {
      using all = follow(createMemoryDiscovery(memorySpace, log));
      memorySpace.tables["v1/instances"].apply(Array.from(all.records.keys(), (key) => ({ key, record: undefined })));
    },
    messages: () => lines.map(({ message }) => message),
    async [Symbol.asyncDispose]() {
      await Promise.all([caller, server].map((runtime) => runtime[Symbol.asyncDispose]()));
    },
  };
}

test.each(["asked before", "never asked"])(
  "an instance that is %s stays while it answers, and leaves with its process",
  async (which) => {
    await using house = await startHouse();
    if (which === "asked before") await collect(house.client.generate({}));
    house.loseRegistry();
    await eventually("the word of it", () =>
      house.messages().includes("instance is not registered any more but answers, it stays in use"),
    );
    expect(await collect(house.client.generate({}))).toEqual([1]);
    await house.server[Symbol.asyncDispose]();
    await eventually("its leaving", () => house.client.instances.length === 0);
  },
);

test.each(["asked before", "never asked"])(
  "an endpoint that is %s and served no more is left, though its process goes on",
  async (which) => {
    await using house = await startHouse();
    if (which === "asked before") await collect(house.client.generate({}));
    await house.serving[Symbol.asyncDispose]();
    await eventually("its leaving", () => house.client.instances.length === 0);
    expect(house.messages()).not.toContain("instance is not registered any more but answers, it stays in use");
  },
);
