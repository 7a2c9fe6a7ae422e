// What systemd is told of a process that it has started, by a program that writes down what `systemd-notify` would send.
import { chmod, readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { createMemorySpace, createRuntime, type Environment } from "@dyn/runtime";
import { expect, test } from "vitest";
import { eventually, lineOf, startProgram } from "../support/cluster.ts";
import { openDirectory } from "../support/directory.ts";
import { createLogger } from "../support/logger.ts";

interface Notified extends AsyncDisposable {
  readonly environment: { readonly NOTIFY_SOCKET: string; readonly PATH: string };
  /** A line for each message. */
  read(): Promise<string[]>;
}

async function openNotified(): Promise<Notified> {
  const directory = await openDirectory("dyn-systemd-");
  const [said, command] = [join(directory.path, "said"), join(directory.path, "systemd-notify")];
  await writeFile(command, `#!/bin/sh\necho "$NOTIFY_SOCKET $*" >> ${said}\n`);
  await chmod(command, 0o755);
  return {
    environment: { NOTIFY_SOCKET: "@dyn", PATH: `${directory.path}:/usr/bin:/bin` },
    read: async () => (await readFile(said, "utf8").catch(() => "")).split("\n").slice(0, -1),
    [Symbol.asyncDispose]: () => directory[Symbol.asyncDispose](),
  };
}

const config = { discoveryBackend: "mem" } as const;
const silent = createLogger({ sink: () => undefined });
const address = "dyn://test.systemd.one";

async function saidBy(notified: Notified, ...lines: readonly string[]): Promise<void> {
  const wanted = lines.map((line) => `@dyn ${line}`);
  const said = await eventually("all messages", async () => {
    const all = await notified.read();
    return all.length >= wanted.length && all;
  });
  expect(said).toEqual(wanted);
}

test("a runtime says that it is ready once it serves and its checks pass, what changes, and that it stops", async () => {
  await using notified = await openNotified();
  await using runtime = await createRuntime({ config, log: silent.pino, environment: notified.environment });
  const { promise: begun, resolve: begin } = Promise.withResolvers<void>();
  let trouble = "";
  runtime.health.add("db", async () => (await begun, trouble), { intervalMs: 5 });
  await runtime.endpoint(address).serve(async () => 1);
  expect(await notified.read()).toEqual([]);
  begin();
  await saidBy(notified, "READY=1 STATUS=serving");
  trouble = "gone";
  await saidBy(notified, "READY=1 STATUS=serving", "STATUS=unhealthy");
  trouble = "";
  await saidBy(notified, "READY=1 STATUS=serving", "STATUS=unhealthy", "STATUS=serving");
  await runtime.close();
  await saidBy(notified, "READY=1 STATUS=serving", "STATUS=unhealthy", "STATUS=serving", "STOPPING=1 STATUS=draining");
});

test("the end of one of several runtimes of a process is not that of the process", async () => {
  await using notified = await openNotified();
  const memorySpace = createMemorySpace();
  const common = { config, log: silent.pino, memorySpace };
  await using first = await createRuntime({ ...common, environment: notified.environment });
  const shared = { system: first.system, metrics: first.metrics };
  await using second = await createRuntime({ ...common, ...shared, environment: notified.environment });
  await first.endpoint(address).serve(async () => 1);
  await second.endpoint(address).serve(async () => 2);
  await first.close();
  await saidBy(notified, "READY=1 STATUS=serving");
  await second.close();
  await saidBy(notified, "READY=1 STATUS=serving", "STOPPING=1 STATUS=draining");
});

test("the watchdog hears of the process twice in its time, if it waits for this process", async () => {
  await using notified = await openNotified();
  const open = async (more: Environment, until: (said: readonly string[]) => boolean): Promise<string[]> => {
    await using runtime = await createRuntime({
      config,
      log: silent.pino,
      environment: { ...notified.environment, WATCHDOG_USEC: "20000", ...more },
    });
    await runtime.endpoint(address).serve(async () => 1);
    return await eventually("the messages", async () => {
      const said = await notified.read();
      return until(said) && said;
    });
  };
  const beat = "@dyn WATCHDOG=1";
  const before = await open({ WATCHDOG_PID: "1" }, (said) => said.length > 0);
  expect(before).not.toContain(beat);
  await open({ WATCHDOG_PID: String(process.pid) }, (said) => said.filter((line) => line === beat).length >= 3);
});

test.each<[string, Environment, string]>([
  ["systemd-notify", { NOTIFY_SOCKET: "@dyn", PATH: "/nowhere" }, "systemd-notify"],
  ["the right to start a process", { NOTIFY_SOCKET: "@dyn\0" }, "null bytes"], // Node refuses that one as it does without the right: by an exception
])("without %s a runtime serves all the same, and says once what is missing", async (_what, environment, missing) => {
  const lines: Record<string, unknown>[] = [];
  const log = createLogger({ sink: (record) => lines.push(record) });
  await using runtime = await createRuntime({ config, log: log.pino, environment });
  await runtime.endpoint(address).serve(async () => 1);
  const told = (): Record<string, unknown>[] => lines.filter(({ message }) => message === "systemd cannot be told");
  await eventually("the warning", () => told().length > 0);
  await runtime.close();
  expect(told()).toEqual([
    expect.objectContaining({ level: "WARN", error: expect.stringContaining(missing) as string }),
  ]);
});

test("without NOTIFY_SOCKET nobody is told", async () => {
  await using notified = await openNotified();
  await using runtime = await createRuntime({
    config,
    log: silent.pino,
    environment: { PATH: notified.environment.PATH, WATCHDOG_USEC: "20000" },
  });
  await runtime.endpoint(address).serve(async () => 1);
  await runtime.close();
  expect(await notified.read()).toEqual([]);
});

test.each([
  ["dyn-frontend", ["--http-port", "0"], "frontend is listening"],
  ["dyn-mock-worker", [], "endpoint is serving"],
])("%s says when it is ready and when it stops", async (command, args, message) => {
  await using notified = await openNotified();
  const env = { ...notified.environment, DYN_DISCOVERY_BACKEND: "mem" };
  await using program = startProgram(command, args, env);
  await lineOf(program, message);
  await saidBy(notified, "READY=1 STATUS=serving");
  program.kill("SIGTERM");
  expect(await program.exited).toBe(0);
  await saidBy(notified, "READY=1 STATUS=serving", "STOPPING=1 STATUS=draining");
});
