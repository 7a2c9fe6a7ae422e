// What a process makes of the signals that ask it to end.
import { afterEach, expect, test } from "vitest";
import { createRuntime } from "../../packages/runtime/src/index.ts";
import { watchSignals, type ShutdownSignal } from "../../packages/runtime/src/lifetime.ts";

const open: Disposable[] = [];
afterEach(() => {
  for (const each of open.splice(0)) each[Symbol.dispose]();
});

// `kill` does nothing here, as for the first process of a container.
function watch(): string[] {
  const seen: string[] = [];
  const onFirst = (signal: ShutdownSignal): void => void seen.push(`first ${signal}`);
  const kill = (pid: number, signal: string): void =>
    void seen.push(pid === process.pid ? `kill ${signal}` : `kill of ${pid}`);
  open.push(watchSignals(["SIGUSR2", "SIGWINCH"], onFirst, { kill, exit: (code) => seen.push(`exit ${code}`) }));
  return seen;
}

const send = (signal: NodeJS.Signals): boolean => process.emit(signal, signal);

test("the first signal is told, the second one ends the process by itself, and by its code where that does nothing", () => {
  const seen = watch();
  send("SIGUSR2");
  expect(seen).toEqual(["first SIGUSR2"]);
  send("SIGWINCH");
  expect(seen).toEqual(["first SIGUSR2", "kill SIGWINCH", "exit 156"]);
});

test("the second signal ends the process whoever else listens to it", () => {
  const seen = watch();
  const other = (): void => undefined;
  process.on("SIGUSR2", other);
  send("SIGUSR2");
  expect(process.listeners("SIGUSR2")).toContain(other);
  send("SIGUSR2");
  expect(process.listeners("SIGUSR2")).toEqual([]);
  expect(seen).toEqual(["first SIGUSR2", "kill SIGUSR2", "exit 140"]);
});

test("signals are left alone once nobody watches any more", () => {
  const seen = watch();
  open.pop()?.[Symbol.dispose]();
  expect([send("SIGUSR2"), seen]).toEqual([false, []]);
});

test("a runtime hears a signal that comes while it is opened, and one that cannot be opened leaves nobody listening", async () => {
  const shutdownSignals = ["SIGUSR2"] as const;
  const config = { discoveryBackend: "mem", log: "off" } as const;
  const opening = createRuntime({ config, shutdownSignals });
  send("SIGUSR2");
  await using runtime = await opening;
  await Promise.resolve();
  expect(runtime.draining.aborted).toBe(true);
  await runtime[Symbol.asyncDispose]();
  await expect(createRuntime({ config, shutdownSignals, environment: { DYN_TCP_RPC_PORT: "x" } })).rejects.toThrow(
    "DYN_TCP_RPC_PORT",
  );
  expect(process.listeners("SIGUSR2")).toEqual([]);
});
