/** Programs as the first process of a PID namespace, as in a container without an init. */
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { eventually, root, startProgram, type Program } from "../support/cluster.ts";

/** The command that follows becomes process 1. */
export const namespaceCommand = [
  "unshare",
  "--user",
  "--map-root-user",
  "--pid",
  "--fork",
  "--mount-proc",
  "--kill-child",
] as const;

export interface FirstProcess extends AsyncDisposable {
  readonly program: Program;
  /** Signal process 1. */
  kill(this: void, signal: NodeJS.Signals): void;
}

/** Start one of our programs so. */
export async function startFirst(
  cli: string,
  args: readonly string[],
  env: Readonly<Record<string, string>>,
): Promise<FirstProcess> {
  const program = startProgram("node", [join(root, cli), ...args], env, { runner: namespaceCommand });
  const children = `/proc/${program.pid}/task/${program.pid}/children`; // by their number out here
  const pid = await eventually("process 1", () => Number(readFileSync(children, "utf8")) || undefined);
  return {
    program,
    kill: (signal) => void process.kill(pid, signal),
    [Symbol.asyncDispose]: () => program[Symbol.asyncDispose](),
  };
}
