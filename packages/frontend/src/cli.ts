/** `dyn-frontend`: flags and variables to options, then run until a signal. */
import { declareFlags, readFlags, readSettings, RuntimeError, runtimeSettings } from "@dyn/runtime";
import { Command } from "commander";
import { createFrontend } from "./index.ts";
import { frontendSettings } from "./options.ts";

const { systemHost: _host, systemPort: _port, ...sharedSettings } = runtimeSettings; // a frontend has no system server
const settings = { ...frontendSettings, ...sharedSettings };

async function main(): Promise<void> {
  const command = new Command("dyn-frontend").description("HTTP front door: speaks the OpenAI API, finds its workers through discovery.");
  declareFlags(command, settings);
  const flags = readFlags(command.parse(process.argv), settings);
  const config = readSettings(sharedSettings, process.env, flags);
  const options = readSettings(frontendSettings, process.env, flags);
  await using frontend = await createFrontend({ ...options, config, shutdownSignals: ["SIGINT", "SIGTERM"] });
  await frontend.closed;
}

try {
  await main();
  process.exit(); // a reader of the log that does not read would hold the process
} catch (error) {
  if (!(error instanceof RuntimeError)) throw error;
  process.stderr.write(`dyn-frontend: ${error.message}\n`);
  process.exit(1);
}
