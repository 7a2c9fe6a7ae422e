/** A client that is a program: run to its end, with bounded time and output. */
import { spawn } from "node:child_process";

export interface RunOptions {
  /** Where it runs. Default: here. */
  readonly cwd?: string;
  /** All of its environment besides PATH. Default: nothing, since a client of whoever runs the tests must not lend its settings. */
  readonly env?: Readonly<Record<string, string>>;
  /** What it reads. Default: nothing, at once at its end. */
  readonly input?: string;
  /** It is killed, with all that it started, after so many ms. Default 60 000. */
  readonly timeoutMs?: number;
}

export interface Ran {
  /** Exit code, or -1 if a signal ended it. */
  readonly code: number;
  /** The last MiB of each. */
  readonly stdout: string;
  readonly stderr: string;
}

const maxOutput = 1024 * 1024;

/** Run a program to its end. @throws Error if it cannot be started, or does not end in time. */
export async function runClient(
  command: string,
  args: readonly string[],
  { cwd, env = {}, input = "", timeoutMs = 60_000 }: RunOptions = {},
): Promise<Ran> {
  const child = spawn(command, args, {
    ...(cwd !== undefined && { cwd }),
    env: { PATH: process.env["PATH"] ?? "", NO_PROXY: "127.0.0.1", ...env },
    stdio: ["pipe", "pipe", "pipe"],
    detached: true, // a group of its own, which can be killed whole
  });
  const ran = { stdout: "", stderr: "" };
  for (const name of ["stdout", "stderr"] as const)
    child[name].setEncoding("utf8").on("data", (text: string) => (ran[name] = (ran[name] + text).slice(-maxOutput)));
  let isLate = false;
  const timer = setTimeout(() => {
    isLate = true;
    if (child.pid !== undefined) process.kill(-child.pid, "SIGKILL");
  }, timeoutMs);
  child.stdin.on("error", () => undefined); // it may end without having read
  child.stdin.end(input);
  try {
    const code = await new Promise<number>((resolve, reject) => {
      child.on("error", reject);
      child.on("close", (ended) => resolve(ended ?? -1));
    });
    if (isLate) throw new Error(`${command} did not end within ${timeoutMs} ms:\n${ran.stdout}\n${ran.stderr}`);
    return { code, ...ran };
  } finally {
    clearTimeout(timer);
  }
}
