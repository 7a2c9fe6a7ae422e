/** `dyn-frontend`: flags and variables to options, then run until a signal; or follow one request through logs. */
import { RuntimeError, version } from "@dyn/runtime";
import {
  declareFlags,
  escapeHidden,
  formatKeyLine,
  holdYoungGeneration,
  readFlags,
  readSettings,
  sayWrongUsage,
  sharedSettings,
  tellParent,
  wholeNumber,
} from "@dyn/runtime/internal";
import { Command, CommanderError, InvalidArgumentError } from "commander";
import { frontendSettings } from "./settings/frontend-settings.ts";

// It serves no endpoint of its own.
const settings = { ...frontendSettings, ...sharedSettings };

function createServe(): Command {
  const command = new Command("dyn-frontend").description(
    "Inference frontend over HTTP: speaks the OpenAI and Anthropic APIs, finds its workers through discovery.",
  );
  declareFlags(command, settings);
  return command
    .version(`dyn-frontend ${version}`, "--version", "print the version")
    .helpCommand(false)
    .enablePositionalOptions()
    .action(async () => {
      await serve(command);
      process.exit(); // a reader of the log that does not read would hold the process
    });
}

async function serve(command: Command): Promise<void> {
  const flags = readFlags(command, settings);
  const config = readSettings(sharedSettings, process.env, flags);
  const options = readSettings(frontendSettings, process.env, flags);
  holdYoungGeneration({ flags: [...process.execArgv, process.env["NODE_OPTIONS"] ?? ""] });
  const { createFrontend } = await import("./frontend.ts"); // the other command and --help need no server
  await using frontend = await createFrontend({
    ...options,
    config,
    environment: process.env,
    shutdownSignals: ["SIGINT", "SIGTERM", "disconnect"],
  });
  tellParent({ url: frontend.url }); // to scripts/start.mjs
  await frontend.closed;
}

function createSubcommand(name: string): Command {
  const command = new Command(name).exitOverride();
  sayWrongUsage(command, `dyn-frontend ${name}`);
  return command;
}

const traceHelp = `
ID   a request id, a client's x-request-id, a trace id, or the id of an answer ("chatcmpl-…")
LOG  JSONL logs (DYN_LOGGING_JSONL=1) of any number of frontends and workers, in any order: files, pipes, "-" for standard input;
     also packed (gzip, zstd), in docker's json-file form, from journalctl -o json --all, or from a Kubernetes node

Bars: ░ until the first token, █ from then on, ╌? where nobody knows.

Exit code: 0 the lineage is whole, 1 something is missing or contradictory, 2 wrong usage, an unreadable log or an unknown id.

Example:
  dyn-frontend trace f52be7a9-8809-408c-9140-4fd7ca0dd680 frontend.jsonl worker-*.jsonl`;

function createTrace(): Command {
  return createSubcommand("trace")
    .description(
      "follow one request through the logs of all processes: draw its timeline, say what is missing or contradictory",
    )
    .argument("<id>", "which request")
    .argument("<log...>", "the logs of all processes")
    .option("--json", "print the tree as JSON, one line per request")
    .option(
      "--limit <count>",
      "most requests drawn if several have the id, the latest ones",
      toParser(wholeNumber(1, 30)),
      10,
    )
    .option("--columns <count>", "width of the picture", toParser(wholeNumber(40, 1000)))
    .addHelpText("after", traceHelp)
    .action(trace);
}

const hashKeyHelp = `
Example, a key for the client and its line for the frontend:
  umask 077
  openssl rand -hex 32 > team-a.key
  dyn-frontend hash-key team-a < team-a.key >> api-keys`;

function createHashKey(): Command {
  return createSubcommand("hash-key")
    .description(
      "read an API key from standard input and write its line for the file of --api-keys-file or --operator-keys-file",
    )
    .argument("[name]", "who has the key; log lines show it")
    .addHelpText("after", hashKeyHelp)
    .action(async (name: string | undefined) => {
      if (process.stdin.isTTY) process.stderr.write("dyn-frontend hash-key: type the key, then Enter and Ctrl-D\n");
      const { text } = await import("node:stream/consumers");
      process.stdout.write(`${formatKeyLine((await text(process.stdin)).trim(), name)}\n`);
    });
}

function toParser(parse: (text: string) => number): (text: string) => number {
  return (text) => {
    try {
      return parse(text);
    } catch (error) {
      throw new InvalidArgumentError(error instanceof Error ? error.message : String(error));
    }
  };
}

interface TraceFlags {
  readonly json?: boolean;
  readonly limit: number;
  readonly columns?: number;
}

async function trace(
  id: string,
  files: readonly string[],
  { json = false, limit, columns }: TraceFlags,
): Promise<void> {
  const { traceRequests } = await import("@dyn/lineage/trace");
  const { stdout, stderr, stdin } = process;
  stdout.on("error", () => process.exit(1)); // whoever read it has left
  const isWhole = await traceRequests({
    id,
    files,
    json,
    limit,
    columns: columns ?? (stdout.isTTY ? stdout.columns : 100),
    color: stdout.isTTY && stdout.hasColors(),
    input: stdin,
    print: (text) => void stdout.write(text),
    remark: (text) => void stderr.write(`dyn-frontend trace: ${text}\n`),
  });
  process.exitCode = isWhole ? 0 : 1;
}

const command = ["trace", "hash-key"].find((name) => name === process.argv[2]);
try {
  await createServe().addCommand(createTrace()).addCommand(createHashKey()).parseAsync(process.argv);
} catch (error) {
  if (error instanceof CommanderError) process.exit(error.exitCode === 0 ? 0 : 2); // commander has said why
  if (!(error instanceof RuntimeError)) throw error;
  process.stderr.write(`dyn-frontend${command === undefined ? "" : ` ${command}`}: ${escapeHidden(error.message)}\n`);
  process.exit(command === undefined ? 1 : 2);
}
