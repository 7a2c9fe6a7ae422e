/** Command-line flags of settings, for any program built on them. */
import { escapeHidden } from "../hidden-text.ts";
import { formatDefault, type Setting, type Variable } from "./setting.ts";

// What is used of a commander `Command`: this package does not depend on commander.
interface Command {
  option(flags: string, description: string, parse?: (text: string, before: unknown) => unknown): unknown;
  name(): string;
  configureOutput(output: { outputError: (text: string, write: (text: string) => void) => void }): unknown;
  opts(): Readonly<Record<string, unknown>>;
}

type Settings = Readonly<Record<string, Variable<unknown> | Setting<unknown>>>;

/** Declare a flag for every setting that has one; that of a switch may stand alone, and that of a list several times. What is wrong is said in one line. */
export function declareFlags(command: Command, settings: Settings): void {
  for (const setting of Object.values(settings)) {
    if (!("flag" in setting)) continue;
    const { flag, env, default: fallback, help } = setting;
    const value = typeof fallback === "boolean" ? "[switch]" : "<value>";
    const said = [`--${flag} ${value}`, `${help} [${env}, default ${formatDefault(setting)}]`] as const;
    if (Array.isArray(fallback)) command.option(...said, joinLists);
    else command.option(...said);
  }
  sayWrongUsage(command, command.name());
}

// One list, whether its members are given together or one by one.
function joinLists(text: string, before: unknown): string {
  return typeof before === "string" ? `${before},${text}` : text;
}

/** What is wrong on the command line is said in one line, that of the program or its command. */
export function sayWrongUsage(command: Pick<Command, "configureOutput">, program: string): void {
  const toLine = (text: string): string =>
    escapeHidden(
      text
        .trim()
        .replaceAll(/\s*\n\s*/g, " ")
        .replace(/^error: /, "")
        .replace(/\.$/, ""), // as commander has it
    );
  command.configureOutput({
    outputError: (text, write) => write(`${program}: ${toLine(text)}; see ${program} --help\n`),
  });
}

/** What was given on the command line, by the names of the settings: for `readSettings`. */
export function readFlags(command: Command, settings: Settings): Readonly<Record<string, string | undefined>> {
  const given = command.opts();
  const entries = Object.entries(settings).map(([name, setting]) => {
    const value =
      "flag" in setting ? given[setting.flag.replace(/-(.)/g, (_, letter: string) => letter.toUpperCase())] : undefined;
    return [name, value === true ? "true" : value] as const;
  });
  return Object.fromEntries(entries) as Readonly<Record<string, string | undefined>>; // commander gives text, or true for a flag alone
}
