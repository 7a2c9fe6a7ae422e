/** `dyn-frontend`: flags and variables to options, then run until a signal. */
import { readSettings, RuntimeError, runtimeSettings } from "@dyn/runtime";
import { Command, Option } from "commander";
import { createFrontend } from "./index.ts";
import { frontendSettings } from "./options.ts";

const { systemHost: _host, systemPort: _port, ...sharedSettings } = runtimeSettings; // a frontend has no system server
const settings = { ...frontendSettings, ...sharedSettings };

function readFlags(argv: readonly string[]): Readonly<Record<string, string | undefined>> {
  const command = new Command("dyn-frontend").description("HTTP front door: speaks the OpenAI API, finds its workers through discovery.");
  for (const { flag, env, default: fallback, help } of Object.values(settings)) {
    command.addOption(new Option(`--${flag} <value>`, `${help} [${env}, default ${JSON.stringify(fallback)}]`));
  }
  const given: Readonly<Record<string, string | undefined>> = command.parse([...argv]).opts();
  return Object.fromEntries(
    Object.entries(settings).map(([name, { flag }]) => [name, given[flag.replace(/-(.)/g, (_, letter: string) => letter.toUpperCase())]]),
  );
}

async function main(): Promise<void> {
  const flags = readFlags(process.argv);
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
