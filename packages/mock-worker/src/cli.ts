/** `dyn-mock-worker`: flags and variables to options, then run until a signal. */
import { readSettings, RuntimeError, runtimeSettings } from "@dyn/runtime";
import { Command, Option } from "commander";
import { startMockWorker } from "./index.ts";
import { mockSettings } from "./options.ts";

const settings = { ...mockSettings, ...runtimeSettings };

function readFlags(argv: readonly string[]): Readonly<Record<string, string | undefined>> {
  const command = new Command("dyn-mock-worker").description("A deterministic worker that echoes the last user message, one word at a time.");
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
  const config = readSettings(runtimeSettings, process.env, flags);
  const options = readSettings(mockSettings, process.env, flags);
  await using worker = await startMockWorker({ ...options, config, shutdownSignals: ["SIGINT", "SIGTERM"] });
  await worker.closed;
}

try {
  await main();
  process.exit(); // a reader of the log that does not read would hold the process
} catch (error) {
  if (!(error instanceof RuntimeError)) throw error;
  process.stderr.write(`dyn-mock-worker: ${error.message}\n`);
  process.exit(1);
}
