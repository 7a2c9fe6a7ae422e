// How a runtime and what it serves begin and end, well or not.
import { mkdtemp, readdir, rename, rm, writeFile } from "node:fs/promises";
import { createServer, type AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setFlagsFromString } from "node:v8";
import { runInNewContext } from "node:vm";
import { describe, expect, test } from "vitest";
import {
  createMemorySpace,
  createRuntime,
  type Runtime,
  type RuntimeConfig,
} from "../../packages/runtime/src/index.ts";
import { createLogger } from "../support/logger.ts";
import { eventually, type Line } from "../support/cluster.ts";
import { address, collect, config, failureOf, startPair } from "./peers.ts";

interface Place extends AsyncDisposable {
  readonly directory: string;
  readonly lines: Line[];
  open(more?: Partial<RuntimeConfig>): Promise<Runtime>;
  /** Records of endpoints on disk. */
  records(): Promise<string[]>;
}

async function openPlace(): Promise<Place> {
  const directory = await mkdtemp(join(tmpdir(), "dyn-lifetime-"));
  const lines: Line[] = [];
  const log = createLogger({ sink: (record) => lines.push(record) });
  return {
    directory,
    lines,
    open: (more = {}) =>
      createRuntime({
        config: { ...config, discoveryBackend: "file", fileKv: join(directory, "kv"), ...more },
        log: log.pino,
      }),
    records: () => readdir(join(directory, "kv/v1/instances")).catch(() => []),
    [Symbol.asyncDispose]: () => rm(directory, { recursive: true, force: true, maxRetries: 5 }),
  };
}

async function* one(): AsyncGenerator<number> {
  yield 1;
}

describe("serving", () => {
  test("may be tried again after its record could not be published", async () => {
    await using place = await openPlace();
    await using runtime = await place.open();
    await rm(join(place.directory, "kv"), { recursive: true });
    await writeFile(join(place.directory, "kv"), "in the way");
    expect(await failureOf(runtime.endpoint(address).serve(one))).toMatchObject({
      code: "unavailable",
      message: expect.stringMatching(/ENOTDIR|EEXIST/),
    });
    await rm(join(place.directory, "kv"));
    await runtime.endpoint(address).serve(one);
    expect(await place.records()).toHaveLength(1);
  });

  test("may be tried again after its port could not be had", async () => {
    await using place = await openPlace();
    const blocker = createServer();
    await new Promise<void>((resolve) => blocker.listen(0, "127.0.0.1", resolve));
    const { port } = blocker.address() as AddressInfo;
    await using runtime = await place.open({ tcpPort: port });
    expect(await failureOf(runtime.endpoint(address).serve(one))).toMatchObject({ code: "unavailable" });
    await new Promise((resolve) => blocker.close(resolve));
    expect((await runtime.endpoint(address).serve(one)).address).toBe(`127.0.0.1:${port}`);
  });

  test("that is under way while the runtime closes, however far, leaves no record behind", async () => {
    await using place = await openPlace();
    const outcomes = new Set<string>();
    for (let turns = 0; turns < 40; turns += 1) {
      const runtime = await place.open();
      const serving = runtime
        .endpoint(address)
        .serve(one)
        .then(
          () => "served",
          (error: { code: string }) => error.code,
        );
      for (let turn = 0; turn < turns; turn += 1) await new Promise((resolve) => setImmediate(resolve));
      if (turns === 39) await serving; // at the latest now it is done
      await runtime[Symbol.asyncDispose]();
      expect(await place.records()).toEqual([]);
      outcomes.add(await serving);
      expect(await place.records()).toEqual([]);
    }
    expect(outcomes).toEqual(new Set(["served", "unavailable"]));
  });

  test("is forgotten once it is over", async () => {
    await using place = await openPlace();
    await using runtime = await place.open();
    const serveOnce = async (): Promise<WeakRef<object>> => {
      const serving = await runtime.endpoint(address).serve(one);
      await serving[Symbol.asyncDispose]();
      return new WeakRef(serving);
    };
    const reference = await serveOnce();
    await serveOnce();
    setFlagsFromString("--expose-gc");
    const collectGarbage = runInNewContext("gc") as () => void;
    await eventually("its collection", () => {
      collectGarbage();
      return reference.deref() === undefined;
    });
  });
});

describe("a runtime", () => {
  test("that cannot withdraw its record says so and drains all the same", async () => {
    await using place = await openPlace();
    const worker = await place.open();
    await using caller = await place.open();
    const { promise: finish, resolve } = Promise.withResolvers<void>();
    await worker.endpoint(address).serve(async function* () {
      yield 1;
      await finish;
      yield 2;
    });
    const client = caller.client<object, number>(address);
    await client.waitForInstances();
    const batches = client.generate({}).batches();
    await batches.next();
    await rename(join(place.directory, "kv"), join(place.directory, "moved"));
    await writeFile(join(place.directory, "kv"), "in the way");
    let isClosed = false;
    const closing = worker[Symbol.asyncDispose]().then(() => (isClosed = true));
    await eventually("the warning", () =>
      place.lines.some(({ message }) => message === "endpoint record could not be withdrawn"),
    );
    expect(isClosed).toBe(false);
    resolve();
    expect((await batches.next()).value).toEqual([2]);
    expect((await batches.next()).done).toBe(true);
    await closing;
    await rm(join(place.directory, "kv"));
  });

  test.each([
    ["watches its signal", true],
    ["ignores its signal", false],
  ])("ends a request whose engine %s when the drain has taken its time", async (_name, watches) => {
    await using pair = await startPair({
      worker: { drainTimeoutMs: 50 },
      async *handler({ count }, { signal }) {
        yield count;
        await new Promise((resolve) => watches && signal.addEventListener("abort", resolve));
      },
    });
    const batches = pair.client.generate({ count: 1 }).batches();
    await batches.next();
    const failure = failureOf(batches.next());
    await pair.server[Symbol.asyncDispose]();
    expect(await failure).toMatchObject(
      watches ? { code: "unavailable", message: "the worker is shutting down" } : { code: "disconnected" },
    );
    const warned = pair.workerLines.filter(({ level }) => level === "WARN");
    expect(warned).toMatchObject([
      { message: "drain timed out, running requests are killed", endpoint: "test/echo/generate", drain_timeout_ms: 50 },
    ]);
  });

  test("that is closed gives no clients and serves nothing", async () => {
    for (const discoveryBackend of ["file", "mem"] as const) {
      await using place = await openPlace();
      const runtime = await place.open({ discoveryBackend });
      await runtime[Symbol.asyncDispose]();
      expect(() => runtime.client(address)).toThrow(expect.objectContaining({ code: "unavailable" }));
      expect(await failureOf(runtime.endpoint(address).serve(one))).toMatchObject({ code: "unavailable" });
    }
  });

  test("that closes tells those who wait for instances", async () => {
    const runtime = await createRuntime({
      config,
      memorySpace: createMemorySpace(),
      log: createLogger({ sink: () => undefined }).pino,
    });
    const waiting = failureOf(runtime.client(address).waitForInstances());
    await runtime[Symbol.asyncDispose]();
    expect(await waiting).toMatchObject({ code: "unavailable" });
    await using pair = await startPair();
    pair.client[Symbol.dispose]();
    expect(await failureOf(pair.client.waitForInstances())).toMatchObject({ code: "unavailable" });
    expect(await collect(pair.client.generate({ count: 1 }))).toHaveLength(1); // it still knows whom it knew
  });
});
