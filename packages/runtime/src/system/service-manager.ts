/** What systemd is told of a process that it has started (`Type=notify`): that it is ready, that it stops, and that its event loop turns (watchdog).
 *  Node has no unix datagrams, and a process of its own for each message would hold a large one for long while it forks: one small shell, started once, sends them all. */
import { spawn, type ChildProcessByStdio } from "node:child_process";
import type { Readable, Writable } from "node:stream";
import type { Logger } from "../logging/logger.ts";
import type { Environment } from "../settings/environment.ts";
import { maxTimerMs } from "../settings/environment.ts";
import type { ProcessStage } from "./status.ts";

/** Who has started this process. Disposing it ends the shell, after what it has been told. */
export interface ServiceManager extends Disposable {
  /** Where the process stands now. What is no news is not sent; nothing is before it serves, and nothing after it drains. */
  tell(stage: ProcessStage): void;
}

export interface ServiceManagerOptions {
  /** `NOTIFY_SOCKET`, `WATCHDOG_USEC` and `WATCHDOG_PID`, as systemd sets them, and `PATH`. */
  readonly environment: Environment;
  readonly log: Logger;
}

type Shell = ChildProcessByStdio<Writable, null, Readable>;

// systemd ends the whole group of processes, but this one goes with the pipe. Words of a line are arguments.
const script = 'trap "" TERM INT HUP; while read -r state; do systemd-notify $state; done';
/** What may wait for a shell that does not read. */
const maxWaitingBytes = 4_096;

/** Tell the manager that `NOTIFY_SOCKET` names, if there is one. */
export function openServiceManager({ environment, log }: ServiceManagerOptions): ServiceManager {
  const { NOTIFY_SOCKET: socket = "", PATH } = environment;
  const shell =
    socket === "" ? undefined : tryShell({ NOTIFY_SOCKET: socket, ...(PATH !== undefined && { PATH }) }, log);
  if (!shell) return { tell: () => undefined, [Symbol.dispose]: () => undefined };
  const send = (state: string): void => {
    if (shell.stdin.writable && shell.stdin.writableLength < maxWaitingBytes) shell.stdin.write(`${state}\n`);
  };
  const watchdog = startWatchdog(environment, () => send("WATCHDOG=1"));
  let told: ProcessStage = "starting";
  return {
    tell(stage) {
      if (stage === told || told === "draining" || (told === "starting" && stage !== "serving" && stage !== "draining"))
        return;
      const news = stage === "draining" ? "STOPPING=1 " : told === "starting" ? "READY=1 " : "";
      told = stage;
      send(`${news}STATUS=${stage}`);
    },
    [Symbol.dispose]() {
      clearInterval(watchdog);
      shell.stdin.end();
    },
  };
}

// Where no process may be started, for example under Node's `--permission`, ours serves all the same.
function tryShell(env: NodeJS.ProcessEnv, log: Logger): Shell | undefined {
  const warn = (error: unknown): void => log.warnOnce({ error: String(error).trim() }, "systemd cannot be told");
  try {
    return startShell(env, warn);
  } catch (error) {
    warn(error);
    return undefined;
  }
}

function startShell(env: NodeJS.ProcessEnv, warn: (error: unknown) => void): Shell {
  const shell = spawn("/bin/sh", ["-c", script], { env, stdio: ["pipe", "ignore", "pipe"] });
  shell.on("error", warn);
  shell.stdin.on("error", () => undefined); // it has ended, and said why
  shell.stderr.on("data", warn);
  shell.unref(); // neither it nor its pipes keep this process
  for (const pipe of [shell.stdin, shell.stderr]) if ("unref" in pipe) (pipe as { unref(): void }).unref();
  return shell;
}

// Twice as often as it must be, as sd_watchdog_enabled(3) advises. The timer is the event loop's, so a loop that is blocked sends nothing.
function startWatchdog(environment: Environment, send: () => void): NodeJS.Timeout | undefined {
  const { WATCHDOG_USEC: limit = "", WATCHDOG_PID: pid = "" } = environment;
  const everyMs = Math.floor(Number(limit) / 2_000);
  if (!(everyMs >= 1) || (pid !== "" && pid !== String(process.pid))) return undefined;
  return setInterval(send, Math.min(everyMs, maxTimerMs)).unref();
}
