/** `dyn-upstream-worker`: flags and variables to options, then run until a signal. */
import { RuntimeError, version } from "@dyn/runtime";
import {
  declareFlags,
  escapeHidden,
  holdYoungGeneration,
  readFlags,
  readSettings,
  runtimeSettings,
} from "@dyn/runtime/internal";
import { Command } from "commander";
import { startUpstreamWorker } from "./index.ts";
import { upstreamSettings } from "./options.ts";

const settings = { ...upstreamSettings, ...runtimeSettings };

async function main(): Promise<void> {
  const command = new Command("dyn-upstream-worker").description(
    "A worker that serves the models of a server of OpenAI's API: Ollama, llama-server, vLLM, a hosted one.",
  );
  declareFlags(command, settings);
  command.version(`dyn-upstream-worker ${version}`, "--version", "print the version");
  const flags = readFlags(command.parse(process.argv), settings);
  const config = readSettings(runtimeSettings, process.env, flags);
  const options = readSettings(upstreamSettings, process.env, flags);
  holdYoungGeneration({ flags: [...process.execArgv, process.env["NODE_OPTIONS"] ?? ""] });
  await using worker = await startUpstreamWorker({
    ...options,
    config,
    environment: process.env,
    shutdownSignals: ["SIGINT", "SIGTERM", "disconnect"],
  });
  await worker.closed;
}

try {
  await main();
  process.exit(); // a reader of the log that does not read would hold the process
} catch (error) {
  if (!(error instanceof RuntimeError)) throw error;
  process.stderr.write(`dyn-upstream-worker: ${escapeHidden(error.message)}\n`);
  process.exit(1);
}
