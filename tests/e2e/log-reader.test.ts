// A log that goes nowhere must not keep a program from serving or from ending.
import { spawn } from "node:child_process";
import { mkdtemp, rm } from "node:fs/promises";
import { connect, createServer, type AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect, test } from "vitest";
import { eventually, root } from "../support/cluster.ts";

async function freePort(): Promise<number> {
  const server = createServer();
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const { port } = server.address() as AddressInfo;
  await new Promise((resolve) => server.close(resolve));
  return port;
}

// One connection with bytes that are neither HTTP nor a frame: refused with a line in the log.
function poke(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect(port, "127.0.0.1", () => socket.end(`${"x".repeat(200)}\r\n\r\n`));
    socket.on("data", () => undefined);
    socket.on("close", (failed) => resolve(!failed));
    socket.on("error", () => undefined);
  });
}

const programs = [
  ["dyn-frontend", "--http-port"],
  ["dyn-mock-worker", "--tcp-port"],
] as const;
const logs = [
  ["a full disk", "2>/dev/full"],
  ["a reader that is gone", "2> >(exec true)"],
  ["a reader that never reads", "2> >(exec sleep 30)"],
] as const;

test.each(
  programs.flatMap(([command, flag]) => logs.map(([name, redirection]) => [command, name, flag, redirection] as const)),
)("%s ends on SIGTERM with its log at %s", async (command, _name, flag, redirection) => {
  const directory = await mkdtemp(join(tmpdir(), "dyn-log-"));
  const port = await freePort();
  const args = [flag, String(port), "--file-kv", directory, "--log", "trace"];
  const script = `exec "$0" "$@" ${redirection}`;
  const program = spawn("bash", ["-c", script, join(root, "node_modules/.bin", command), ...args], { stdio: "ignore" });
  const exited = new Promise((resolve) => program.on("exit", (code, signal) => resolve(code ?? signal)));
  try {
    await eventually("its port", () => poke(port));
    for (let index = 0; index < 1_500; index += 1) await poke(port); // more lines than a pipe holds
    program.kill("SIGTERM");
    expect(await Promise.race([exited, new Promise((resolve) => setTimeout(resolve, 15_000, "still running"))])).toBe(
      0,
    );
  } finally {
    program.kill("SIGKILL");
    await exited;
    await rm(directory, { recursive: true, force: true, maxRetries: 5 });
  }
});
