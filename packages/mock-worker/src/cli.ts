/** `dyn-mock-worker`: flags and variables to options, then run until a signal. */
import { RuntimeError, version } from "@dyn/runtime";
import {
  declareFlags,
  escapeHidden,
  holdYoungGeneration,
  readFlags,
  readSettings,
  runtimeSettings,
  tellParent,
} from "@dyn/runtime/internal";
import type { UpstreamEngine } from "@dyn/upstream-worker";
import { Command } from "commander";
import { startMockWorker, type MockWorkerOptions } from "./index.ts";
import { commandSettings, mockSettings, type CommandOptions } from "./options.ts";

const settings = { ...mockSettings, ...commandSettings, ...runtimeSettings };

async function main(): Promise<void> {
  const command = new Command("dyn-mock-worker").description(
    "A deterministic worker that echoes the last user message, one word at a time.",
  );
  declareFlags(command, settings);
  command.version(`dyn-mock-worker ${version}`, "--version", "print the version");
  const flags = readFlags(command.parse(process.argv), settings);
  const config = readSettings(runtimeSettings, process.env, flags);
  const { httpPort, ...recording } = readSettings(commandSettings, process.env, flags);
  const options = readSettings(mockSettings, process.env, flags);
  holdYoungGeneration({ flags: [...process.execArgv, process.env["NODE_OPTIONS"] ?? ""] });
  using recorded = await openRecorded(recording, options.modelName);
  const all: MockWorkerOptions = {
    ...options,
    ...(recorded && { upstream: recorded.engine }),
    config,
    environment: process.env,
    shutdownSignals: ["SIGINT", "SIGTERM", "disconnect"],
    onCrash: endByKill,
  };
  if (httpPort >= 0) return await serveHttp(all, httpPort);
  await using worker = await startMockWorker(all);
  tellParent({ instances: worker.servings.map(({ instanceId }) => instanceId) }); // to scripts/start.mjs
  await worker.closed;
}

async function openRecorded(
  { record: url, recordModel, recordApiKeyFile: apiKeyFile }: Omit<CommandOptions, "httpPort">,
  modelName: string,
): Promise<UpstreamEngine | undefined> {
  if (url === "") return undefined;
  const { openUpstreamEngine } = await import("@dyn/upstream-worker");
  return openUpstreamEngine({ url, apiKeyFile, model: recordModel === "" ? modelName : recordModel });
}

async function serveHttp(options: MockWorkerOptions, httpPort: number): Promise<void> {
  const { startFrontend } = await import("./testing.ts"); // a worker alone loads no frontend
  await using server = await startFrontend({ ...options, frontend: { httpPort } });
  process.stdout.write(`${server.url}\n`); // for the program that started it: requests are answered now
  await Promise.all([server.worker.closed, server.frontend.closed]);
}

// Nothing is closed, nobody is told.
function endByKill(): void {
  process.kill(process.pid, "SIGKILL");
  process.exit(137); // the first process of a container comes here: not even this signal reaches it from itself
}

try {
  await main();
  process.exit(); // a reader of the log that does not read would hold the process
} catch (error) {
  if (!(error instanceof RuntimeError)) throw error;
  process.stderr.write(`dyn-mock-worker: ${escapeHidden(error.message)}\n`);
  process.exit(1);
}
