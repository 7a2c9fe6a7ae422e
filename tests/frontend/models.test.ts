// Which models a frontend offers, whatever others write into discovery.
import { mkdir, mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect, test } from "vitest";
import { createRecentlyGone } from "../../packages/frontend/src/models/recently-gone.ts";
import { followModels } from "../../packages/frontend/src/models/models.ts";
import { encodeFileName } from "../../packages/runtime/src/discovery/record-file.ts";
import { formatRecord, recordKey, type ModelRecord } from "../../packages/runtime/src/discovery/records.ts";
import { createRuntime } from "@dyn/runtime";
import { loggerOf } from "@dyn/runtime/internal";
import { createLogger } from "../support/logger.ts";
import { eventually } from "../support/cluster.ts";
import { card, record } from "../runtime/discovery/spaces.ts";

async function writeCard(root: string, record: ModelRecord): Promise<void> {
  const bucket = join(root, "v1/mdc");
  await mkdir(bucket, { recursive: true });
  await writeFile(join(bucket, encodeFileName(recordKey(record))), formatRecord(record));
}

test("foreign cards that are broken are said once and cost no other model anything", async () => {
  const root = await mkdtemp(join(tmpdir(), "dyn-models-"));
  const lines: Record<string, unknown>[] = [];
  await using runtime = await createRuntime({
    config: { fileKv: root },
    log: createLogger({ sink: (line) => lines.push(line) }).pino,
  });
  const { model_type: _, ...cardWithoutType } = card(1n).card_json;
  await writeCard(root, { ...card(1n), card_json: cardWithoutType as ModelRecord["card_json"] });
  await writeCard(root, { ...card(2n), namespace: "Prod.A" });
  await writeCard(root, card(3n));
  using models = followModels({
    runtime,
    namespace: "",
    routerMode: "round-robin",
    log: loggerOf(runtime.log),
    wallClock: Date.now,
    now: () => 0,
  });
  await eventually("the good one", () => models.has("m"));
  await writeCard(root, { ...card(4n), card_json: { ...card(4n).card_json, display_name: "later" } });
  await eventually("a later one", () => models.has("later"));
  expect(models.list().map(({ name }) => name)).toEqual(["later", "m"]);
  const said = lines.filter(({ level }) => level === "WARN" || level === "ERROR").map(({ error }) => String(error));
  expect(said).toHaveLength(2);
  expect(new Set(said)).toEqual(
    new Set(["a discovery record lacks a valid card_json.model_type", "a discovery record lacks a valid namespace"]),
  );
  await rm(root, { recursive: true, force: true, maxRetries: 5 });
});

test("a frontend that is gone follows no instance any more", async () => {
  const lines: Record<string, unknown>[] = [];
  const log = createLogger({ sink: (line) => lines.push(line) });
  await using runtime = await createRuntime({ config: { discoveryBackend: "mem" }, log: log.pino });
  const models = followModels({
    runtime,
    namespace: "",
    routerMode: "round-robin",
    log,
    wallClock: Date.now,
    now: () => 0,
  });
  await runtime.discovery.publish(card(1n));
  const instance = await runtime.discovery.publish(record(1n));
  expect(models.clientsOf("m").client.instances).toHaveLength(1);
  models[Symbol.dispose]();
  await instance[Symbol.asyncDispose]();
  expect(lines.filter(({ message }) => message === "instance left")).toEqual([]);
  expect(models.list()).toEqual([]);
});

test("a model whose last worker has just left is unavailable, and unknown half a minute later", async () => {
  const log = createLogger({ sink: () => undefined });
  await using runtime = await createRuntime({ config: { discoveryBackend: "mem" }, log: log.pino });
  let [clock, wallClock] = [1_000, Date.UTC(2026, 10, 24)];
  using models = followModels({
    runtime,
    namespace: "",
    routerMode: "round-robin",
    log,
    wallClock: () => wallClock,
    now: () => clock,
  });
  expect(() => models.clientsOf("m")).toThrow(
    expect.objectContaining({
      code: "not_found",
      message: expect.stringContaining("no worker has registered it, see GET /v1/models"),
    }),
  );
  const registration = await runtime.discovery.publish(card(1n));
  expect(models.find("m").name).toBe("m");
  await registration[Symbol.asyncDispose]();
  clock += 3_000;
  wallClock -= 3_600_000; // it is set back
  for (const ask of [() => models.find("m"), () => models.clientsOf("m")]) {
    expect(ask).toThrow(
      expect.objectContaining({ code: "unavailable", message: expect.stringContaining("the last one left 3 s ago") }),
    );
  }
  expect(models.list()).toEqual([]);
  clock += 30_000;
  expect(() => models.find("m")).toThrow(expect.objectContaining({ code: "not_found" }));
  await runtime.discovery.publish(card(2n));
  expect(models.find("m").name).toBe("m");
});

test("only so many models that have left are remembered, the latest ones", () => {
  const recentlyGone = createRecentlyGone({ maxNames: 2, now: () => 0 });
  for (const name of ["a", "b", "a", "c"]) recentlyGone.add(name);
  expect(["a", "b", "c"].map((name) => recentlyGone.age(name))).toEqual([0, undefined, 0]);
});
