// What a frontend says of itself when it can look for workers, and when it cannot.
import { mkdtemp, rename, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createFrontend } from "@dyn/frontend";
import { createRuntime, version, type Runtime } from "@dyn/runtime";
import { expect, test } from "vitest";
import { eventually } from "../support/cluster.ts";
import { card, record, replacePath } from "../runtime/discovery/spaces.ts";

interface Shown {
  readonly status: number;
  readonly body: Readonly<Record<string, unknown>>;
}

async function show(url: string): Promise<Shown> {
  const response = await fetch(url);
  return { status: response.status, body: (await response.json()) as Shown["body"] };
}

interface Registry extends AsyncDisposable {
  readonly runtime: Runtime;
  /** A file takes the directory's place: nobody can look. */
  lose(): Promise<void>;
  restore(): Promise<void>;
}

async function openRegistry(): Promise<Registry> {
  const directory = await mkdtemp(join(tmpdir(), "dyn-registry-"));
  const [kv, away] = [join(directory, "kv"), join(directory, "away")];
  const runtime = await createRuntime({ config: { log: "off", fileKv: kv } });
  return {
    runtime,
    async lose() {
      await rename(kv, away);
      await writeFile(`${kv}-file`, "");
      await replacePath(`${kv}-file`, kv);
    },
    restore: () => replacePath(away, kv),
    async [Symbol.asyncDispose]() {
      await runtime[Symbol.asyncDispose]();
      await rm(directory, { recursive: true, force: true, maxRetries: 5 });
    },
  };
}

const degraded = {
  state: "degraded",
  reason: expect.stringMatching(/cannot be listed: ENOTDIR/),
  since: expect.stringMatching(/^\d{4}-.+Z$/),
};

test("health tells a frontend that sees no worker from one that cannot look", async () => {
  await using registry = await openRegistry();
  const { runtime } = registry;
  await using frontend = await createFrontend({ runtime, httpPort: 0 });
  const [health, live] = [`${frontend.url}/health`, `${frontend.url}/live`];
  expect(await show(health)).toEqual({
    status: 200,
    body: {
      status: "healthy",
      version,
      endpoints: [],
      instances: [],
      models: [],
      checks: {},
      discovery: { state: "listing" },
    },
  });
  await registry.lose();
  const blind = await eventually("the trouble", async () => {
    const shown = await show(health);
    return shown.status === 503 && JSON.stringify(shown.body).includes("ENOTDIR") && shown; // for a moment there is nothing at all
  });
  const message = "Service is not ready: it knows no model, and cannot look for one";
  expect(blind.body).toEqual({
    status: "not_ready",
    stage: "degraded",
    message,
    version,
    checks: {},
    discovery: degraded,
  });
  expect(await show(live)).toEqual({
    status: 200,
    body: { status: "live", message: "Service is live", discovery: degraded },
  });
  expect(await (await fetch(`${frontend.url}/metrics`)).text()).toMatch(/^dynamo_discovery_degraded 1$/m);
  await registry.restore();
  await eventually("its end", async () => (await show(health)).status === 200);
  expect(await (await fetch(`${frontend.url}/metrics`)).text()).toMatch(/^dynamo_discovery_degraded 0$/m);
});

test("a frontend that cannot look but knows a model is healthy, and says what is wrong", async () => {
  await using registry = await openRegistry();
  const { runtime } = registry;
  for (const what of [record(1n), card(1n)]) await runtime.discovery.publish(what);
  await using frontend = await createFrontend({ runtime, httpPort: 0 });
  await registry.lose();
  const shown = await eventually("the trouble", async () => {
    const { status, body } = await show(`${frontend.url}/health`);
    return JSON.stringify(body["discovery"]).includes("degraded") && { status, body };
  });
  expect(shown).toMatchObject({
    status: 200,
    body: { status: "healthy", models: ["m"], instances: [{ instance_id: "1" }], discovery: degraded },
  });
});

test("a frontend that has not been able to look since its start is not ready yet", async () => {
  await using registry = await openRegistry();
  const { runtime } = registry;
  await registry.lose();
  await using frontend = await createFrontend({ runtime, httpPort: 0 });
  expect(await show(`${frontend.url}/health`)).toMatchObject({
    status: 503,
    body: { status: "not_ready", stage: "starting", discovery: degraded },
  });
  await registry.restore();
  await eventually("its readiness", async () => (await show(`${frontend.url}/health`)).status === 200);
});
