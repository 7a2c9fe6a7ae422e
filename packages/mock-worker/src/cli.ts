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
import { Command } from "commander";
import { startMockWorker } from "./index.ts";
import { mockSettings } from "./options.ts";

const settings = { ...mockSettings, ...runtimeSettings };

async function main(): Promise<void> {
  const command = new Command("dyn-mock-worker").description(
    "A deterministic worker that echoes the last user message, one word at a time.",
  );
  declareFlags(command, settings);
  command.version(`dyn-mock-worker ${version}`, "--version", "print the version");
  const flags = readFlags(command.parse(process.argv), settings);
  const config = readSettings(runtimeSettings, process.env, flags);
  const options = readSettings(mockSettings, process.env, flags);
  holdYoungGeneration({ flags: [...process.execArgv, process.env["NODE_OPTIONS"] ?? ""] });
  await using worker = await startMockWorker({
    ...options,
    config,
    environment: process.env,
    shutdownSignals: ["SIGINT", "SIGTERM", "disconnect"],
    onCrash: endByKill,
  });
  tellParent({ instances: worker.servings.map(({ instanceId }) => instanceId) }); // to scripts/start.mjs
  await worker.closed;
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
