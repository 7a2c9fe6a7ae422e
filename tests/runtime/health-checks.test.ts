// Health checks of a program: what they say, when they are asked, and what is shown of them.
import { createFrontend } from "@dyn/frontend";
import { createMemorySpace, createRuntime, type HealthCheck, type Runtime } from "@dyn/runtime";
import { Counter, Registry } from "@prometheus-io/client";
import { afterEach, expect, test, vi } from "vitest";
import { createHealthChecks } from "../../packages/runtime/src/system/checks.ts";
import { createReadiness } from "../../packages/runtime/src/system/readiness.ts";
import { createStatus } from "../../packages/runtime/src/system/status.ts";
import { eventually } from "../support/cluster.ts";
import { createLogger } from "../support/logger.ts";

const silent = createLogger({ sink: () => undefined });
const ignore = (): void => undefined;
const since = expect.stringMatching(/^\d{4}-.+Z$/);

afterEach(() => {
  vi.useRealTimers();
});

test.each<readonly [HealthCheck, object]>([
  [() => undefined, { state: "passing", since }],
  [() => true, { state: "passing", since }],
  [() => "", { state: "passing", since }],
  [async () => ({ rows: 1 }), { state: "passing", since }],
  [() => "the disk is full", { state: "failing", reason: "the disk is full", since }],
  [async () => "no route", { state: "failing", reason: "no route", since }],
  [() => false, { state: "failing", reason: "it gave false", since }],
  [() => Promise.reject(new Error("refused")), { state: "failing", reason: "refused", since }],
  [() => Promise.reject(new Error("")), { state: "failing", reason: "it failed without a message", since }],
  [() => Promise.reject("text"), { state: "failing", reason: "a value that is no Error was thrown", since }],
  [() => "x".repeat(1_000), { state: "failing", reason: "x".repeat(256), since }],
])("what a check gives is what is kept of it (%#)", async (check, state) => {
  using health = createHealthChecks({ log: silent, wallClock: Date.now, onChange: ignore });
  health.add("it", check);
  expect(await eventually("its answer", () => health.states["it"]?.state !== "pending" && health.states["it"])).toEqual(
    state,
  );
});

test("a check runs at once and then in its interval, one run at a time, and changes are logged once", async () => {
  vi.useFakeTimers();
  const lines: Record<string, unknown>[] = [];
  const log = createLogger({ sink: (record) => lines.push(record) });
  using health = createHealthChecks({ log, wallClock: Date.now, onChange: ignore });
  const answers = ["down", "down still", undefined, undefined];
  let asked = 0;
  using added = health.add("db", () => answers[asked++], { intervalMs: 1_000 });
  expect([asked, health.states]).toEqual([1, { db: { state: "pending" } }]);
  await vi.advanceTimersByTimeAsync(999);
  const first = health.states["db"];
  expect([asked, first]).toEqual([1, { state: "failing", reason: "down", since }]);
  await vi.advanceTimersByTimeAsync(1);
  expect([asked, health.states["db"]]).toEqual([2, { ...first, reason: "down still" }]);
  await vi.advanceTimersByTimeAsync(1_000);
  expect([asked, health.states["db"]]).toEqual([3, { state: "passing", since }]);
  await vi.advanceTimersByTimeAsync(1_000);
  expect(lines.map(({ level, message, check, error }) => [level, message, check, error])).toEqual([
    ["WARN", "health check fails", "db", "down"],
    ["INFO", "health check passes again", "db", undefined],
  ]);
  added[Symbol.dispose]();
  await vi.advanceTimersByTimeAsync(5_000);
  expect([asked, health.states]).toEqual([4, {}]);
});

test("a check that hangs fails when its time is over, is not asked again while it hangs, and hears of it by its signal", async () => {
  vi.useFakeTimers();
  using health = createHealthChecks({ log: silent, wallClock: Date.now, onChange: ignore });
  const signals: AbortSignal[] = [];
  const runs: ((answer: undefined) => void)[] = [];
  const hang = (signal: AbortSignal): Promise<undefined> => {
    signals.push(signal);
    return new Promise((resolve) => runs.push(resolve));
  };
  health.add("slow", hang, { timeoutMs: 50, intervalMs: 100 });
  await vi.advanceTimersByTimeAsync(60);
  const late = { state: "failing", reason: "no answer within 50 ms", since };
  expect([health.states["slow"], signals[0]?.aborted]).toEqual([late, true]);
  await vi.advanceTimersByTimeAsync(10_000);
  expect(runs).toHaveLength(1);
  runs[0]?.(undefined); // too late to count
  await vi.advanceTimersByTimeAsync(99);
  expect([health.states["slow"], runs.length]).toEqual([late, 1]);
  await vi.advanceTimersByTimeAsync(1);
  expect(runs).toHaveLength(2);
  runs[1]?.(undefined);
  await vi.advanceTimersByTimeAsync(0);
  expect(health.states["slow"]).toEqual({ state: "passing", since });
  health[Symbol.dispose]();
  expect(() => health.add("more", () => undefined)).toThrow("this runtime has closed");
});

test("a check that is taken away while it runs is heard of no more, and whoever obeys it is told", async () => {
  vi.useFakeTimers();
  const lines: unknown[] = [];
  const log = createLogger({ sink: (record) => lines.push(record) });
  let [asked, changes] = [0, 0];
  using health = createHealthChecks({ log, wallClock: Date.now, onChange: () => (changes += 1) });
  const { promise: answered, resolve: answer } = Promise.withResolvers<string>();
  const added = health.add("db", () => ((asked += 1), answered));
  added[Symbol.dispose]();
  expect([changes, health.states]).toEqual([1, {}]);
  answer("down");
  await vi.advanceTimersByTimeAsync(60_000);
  expect([asked, changes, lines]).toEqual([1, 1, []]);
});

test.each([
  ["passing", "failing"],
  ["failing", "passing"],
] as const)("of checks of two runtimes with one name the worst is shown (%s, %s)", (...states) => {
  const since = "2026-01-02T03:04:05Z";
  const shown = { passing: { state: "passing", since }, failing: { state: "failing", reason: "down", since } } as const;
  const members = states.map((state) => () => ({
    condition: { state: "listing" } as const,
    checks: { db: shown[state] },
  }));
  const status = createStatus({ readiness: createReadiness(), members: new Set(members) }, () => 0);
  expect(status(true).health).toMatchObject({ checks: { db: shown.failing } });
});

test("what is no check is refused, and so is one too many", () => {
  using health = createHealthChecks({ log: silent, wallClock: Date.now, onChange: ignore });
  const refused = (...args: unknown[]): string => {
    try {
      (health.add as (...given: unknown[]) => unknown)(...args);
    } catch (error) {
      return (error as Error).message;
    }
    return "taken";
  };
  const pass = (): void => undefined;
  expect(refused("a b", pass)).toContain('must be 1 to 64 letters, digits, "_", "." or "-", got "a b"');
  expect(refused("a", "pass")).toContain("the health check must be a function");
  expect(refused("a", pass, { timeoutMs: 0 })).toContain("timeoutMs must be a whole number from 1");
  expect(refused("a", pass, { intervalMs: "5s" })).toContain("intervalMs must be a whole number from 1");
  expect(refused("a", pass, { interval: 1 })).toBe("interval is no option; did you mean intervalMs?");
  expect(refused("a", pass)).toBe("taken");
  expect(refused("a", pass)).toBe("there is a health check a already");
  for (let at = 1; at < 64; at += 1) expect(refused(`a${at}`, pass)).toBe("taken");
  expect(refused("b", pass)).toBe("a runtime may have 64 health checks");
});

const read = async (url: string): Promise<{ status: number; body: unknown }> => {
  const response = await fetch(url);
  return { status: response.status, body: await response.json() };
};

test("a worker is ready while its endpoints serve and its checks pass, whichever runtime of the process has them", async () => {
  const memorySpace = createMemorySpace();
  const config = { discoveryBackend: "mem", systemPort: 0 } as const;
  await using first = await createRuntime({ config, log: silent.pino, memorySpace });
  const shared = { system: first.system, metrics: first.metrics };
  await using second = await createRuntime({ config, log: silent.pino, memorySpace, ...shared });
  const url = `http://127.0.0.1:${first.system.port}`;
  let trouble = "";
  const { promise: opened, resolve: open } = Promise.withResolvers<void>();
  second.health.add("db", () => trouble, { intervalMs: 5 });
  first.health.add("cache", () => opened);
  await first.endpoint("dyn://test.health.one").serve(async () => 1);
  expect(await read(`${url}/health`)).toMatchObject({ status: 503, body: { stage: "starting" } });
  open();
  const well = await eventually("its readiness", async () => {
    const { status, body } = await read(`${url}/health`);
    return status === 200 && body;
  });
  expect(well).toMatchObject({
    status: "ready",
    stage: "serving",
    version: expect.stringMatching(/^\d+\.\d+\.\d+/),
    checks: { db: { state: "passing", since }, cache: { state: "passing", since } },
  });
  trouble = "no connection";
  const broken = await eventually("the trouble", async () => {
    const { status, body } = await read(`${url}/health`);
    return status === 503 && body;
  });
  expect(broken).toMatchObject({
    status: "notready",
    stage: "unhealthy",
    endpoints: { one: "ready" },
    checks: { db: { state: "failing", reason: "no connection", since } },
  });
  expect((await fetch(`${url}/live`)).status).toBe(200);
  expect(first.status()).toMatchObject({ stage: "unhealthy", checks: { cache: { state: "passing" } } });
  const page = await eventually("its metric", async () => {
    const text = await (await fetch(`${url}/metrics`)).text();
    return /^dyn_health_check_passing\{check="db"\} 0$/m.test(text) && text;
  });
  expect(page).toMatch(/^dyn_health_check_passing\{check="cache"\} 1$/m);
  await second.close();
  expect(await read(`${url}/health`)).toMatchObject({ status: 200 });
  await eventually("a page without it", async () => {
    return !(await (await fetch(`${url}/metrics`)).text()).includes('check="db"');
  });
});

test("a frontend is not ready while a check of its runtime fails, and tells operators which", async () => {
  await using runtime = await createRuntime({ config: { discoveryBackend: "mem" }, log: silent.pino });
  let trouble = "";
  using _check = runtime.health.add("vault", () => trouble, { intervalMs: 5 });
  await using frontend = await createFrontend({ runtime, httpPort: 0 });
  const healthy = await eventually("its readiness", async () => {
    const { status, body } = await read(`${frontend.url}/health`);
    return status === 200 && body;
  });
  const version = expect.stringMatching(/^\d+\.\d+\.\d+/);
  expect(healthy).toMatchObject({ status: "healthy", version, checks: { vault: { state: "passing", since } } });
  trouble = "sealed";
  const sick = await eventually("the trouble", async () => {
    const { status, body } = await read(`${frontend.url}/health`);
    return status === 503 && body;
  });
  expect(sick).toEqual({
    status: "not_ready",
    stage: "unhealthy",
    message: "Service is not ready: one of its health checks fails",
    version,
    checks: { vault: { state: "failing", reason: "sealed", since } },
    discovery: { state: "listing" },
  });
});

test("series of a program's own stand on the pages of a worker and of a frontend, beside dyn_build_info", async () => {
  const register = new Registry();
  new Counter({ name: "thumbnails_total", help: "Thumbnails made", registers: [register] }).inc(3);
  await using runtime = await createRuntime({
    config: { discoveryBackend: "mem", systemPort: 0 },
    log: silent.pino,
  });
  using _included = runtime.metrics.registry.include(register);
  await using frontend = await createFrontend({ runtime, httpPort: 0 });
  for (const url of [`http://127.0.0.1:${runtime.system.port}`, frontend.url]) {
    for (const accept of ["text/plain", "application/openmetrics-text"]) {
      const page = await (await fetch(`${url}/metrics`, { headers: { accept } })).text();
      expect(page).toMatch(/^thumbnails_total 3$/m);
      expect(page).toContain(`node="${process.versions.node}"`);
      expect(page).toMatch(/^dyn_build_info\{.*\bversion="\d+\.\d+\.\d+".*\} 1$/m);
    }
  }
});

test("the status of a runtime is a plain snapshot of what it serves, calls and holds", async () => {
  const memorySpace = createMemorySpace();
  const config = { discoveryBackend: "mem" } as const;
  const open = (): Promise<Runtime> => createRuntime({ config, log: silent.pino, memorySpace });
  await using worker = await open();
  await using caller = await open();
  const { promise: released, resolve: release } = Promise.withResolvers<void>();
  await worker.endpoint("dyn://test.status.one").serve(() => released.then(() => 1), { requestLimit: 1 });
  const client = caller.client<object, number>("dyn://test.status.one");
  await client.waitForInstances();
  const calls = [client.call({}), client.call({})];
  const busy = await eventually("both requests", () => {
    const status = worker.status();
    return status.endpoints[0]?.queued === 1 && status;
  });
  expect(busy).toEqual({
    version: expect.stringMatching(/^\d+\.\d+\.\d+/),
    instanceId: worker.instanceId,
    uptimeMs: expect.any(Number),
    stage: "serving",
    draining: false,
    endpoints: [{ endpoint: "dyn://test.status.one", running: 1, queued: 1 }],
    clients: [],
    connections: { callers: 1, instances: 0 },
    checks: {},
    discovery: { state: "listing" },
    memory: { limitBytes: worker.memory.limitBytes, usedBytes: expect.any(Number) },
  });
  expect(structuredClone(busy)).toEqual(busy);
  expect(JSON.parse(JSON.stringify(busy))).toEqual(busy);
  expect(caller.status()).toMatchObject({
    clients: [{ endpoint: "dyn://test.status.one", instances: [worker.instanceId] }],
    connections: { callers: 0, instances: 1 },
  });
  release();
  expect(await Promise.all(calls)).toEqual([1, 1]);
  client.close();
  expect(caller.status().clients).toEqual([]);
  const closing = worker.close();
  expect(worker.status()).toMatchObject({ draining: true, stage: "draining" });
  await closing;
  expect(worker.status()).toMatchObject({ endpoints: [], connections: { callers: 0 } });
});
