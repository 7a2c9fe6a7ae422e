// The frontend as a library: several in one process, and what is left of one that could not start.
import { createFrontend } from "@dyn/frontend";
import { createRuntime, type RouterMode, type Runtime } from "@dyn/runtime";
import { expect, test } from "vitest";
import { createLogger } from "../support/logger.ts";
import type { Line } from "../support/cluster.ts";

const config = { discoveryBackend: "mem", log: "off" } as const;

interface Home extends AsyncDisposable {
  readonly runtime: Runtime;
  /** How many listen to discovery. */
  listeners(): number;
}

async function openHome(): Promise<Home> {
  const runtime = await createRuntime({ config });
  const { discovery } = runtime;
  const watch = discovery.watch.bind(discovery);
  let listeners = 0;
  discovery.watch = (...asked) => {
    const { ready, ...watching } = watch(...asked);
    listeners += 1;
    return { ready, [Symbol.dispose]: () => ((listeners -= 1), watching[Symbol.dispose]()) };
  };
  return { runtime, listeners: () => listeners, [Symbol.asyncDispose]: () => runtime[Symbol.asyncDispose]() };
}

async function countUnmatched(url: string): Promise<number> {
  const text = await (await fetch(`${url}/metrics`)).text();
  return Number(
    /^dynamo_frontend_requests_started_total\{[^}]*endpoint="unmatched"[^}]*\} (\d+)$/m.exec(text)?.[1] ?? 0,
  );
}

test("frontends of one runtime share its metrics, at the same time and one after the other", async () => {
  await using home = await openHome();
  const { runtime } = home;
  await using first = await createFrontend({ runtime, httpPort: 0 });
  const second = await createFrontend({ runtime, httpPort: 0 });
  for (const { url } of [first, second]) expect((await fetch(`${url}/nothing`)).status).toBe(404);
  expect(await countUnmatched(first.url)).toBe(2);
  await second[Symbol.asyncDispose]();
  await using third = await createFrontend({ runtime, httpPort: 0 });
  expect(await countUnmatched(third.url)).toBe(2);
});

test("one that ends, or cannot start, listens to nothing any more", async () => {
  await using home = await openHome();
  const { runtime } = home;
  await using first = await createFrontend({ runtime, httpPort: 0 });
  const before = home.listeners();
  await expect(createFrontend({ runtime, httpPort: first.port })).rejects.toMatchObject({ code: "unavailable" });
  await expect(createFrontend({ runtime, httpPort: 0, metricsPrefix: "no good" })).rejects.toThrow();
  const routerMode: RouterMode = JSON.parse('"kv"');
  const modes = "round-robin, random, least-loaded, power-of-two, direct";
  const refused = createFrontend({ runtime, httpPort: 0, routerMode });
  await expect(refused).rejects.toThrow(`routerMode: expected one of ${modes}, got "kv"`);
  expect(() => runtime.client("dyn://a.b.c", { policy: routerMode })).toThrow(
    `policy must be one of ${modes}, or an object with \`key\`, got "kv"`,
  );
  expect(home.listeners()).toBe(before);
  await first[Symbol.asyncDispose]();
  expect(home.listeners()).toBe(0);
});

test("one that is asked to end before it listens begins and ends, and says so", async () => {
  const lines: Line[] = [];
  const log = createLogger({ sink: (record) => lines.push(record) });
  await using runtime = await createRuntime({ config: { discoveryBackend: "mem" }, log: log.pino });
  const starting = createFrontend({ runtime, httpPort: 0, shutdownSignals: ["SIGUSR2"] });
  process.emit("SIGUSR2", "SIGUSR2");
  await (
    await starting
  ).closed;
  expect(lines.map(({ message }) => message)).toContain("stopped");
  expect(process.listenerCount("SIGUSR2")).toBe(0);
  await expect(
    createFrontend({ runtime, httpPort: 0, metricsPrefix: "no good", shutdownSignals: ["SIGUSR2"] }),
  ).rejects.toThrow();
  expect(process.listenerCount("SIGUSR2")).toBe(0);
});
