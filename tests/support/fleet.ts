/** Processes that come and go: frontends on ports that stay, workers of several roles. */
import { rmSync } from "node:fs";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { eventually, startProgram, type Program } from "./cluster.ts";

export interface Frontend {
  readonly name: string;
  readonly port: number;
  readonly args: readonly string[];
  program: Program;
}

/** What a worker is for: the arguments that make it. */
export type Role = readonly string[];

export interface Worker {
  readonly name: string;
  readonly role: Role;
  readonly program: Program;
  readonly instanceId: string;
  readonly systemPort: number;
}

export interface Fleet extends AsyncDisposable {
  readonly directory: string;
  readonly frontends: readonly Frontend[];
  readonly workers: readonly Worker[];
  /** Resolves once it listens. */
  addFrontend(args?: readonly string[]): Promise<Frontend>;
  /** SIGTERM, and the same again on its port. @returns the exit code. */
  restartFrontend(frontend: Frontend): Promise<number | NodeJS.Signals>;
  /** Resolves once every frontend may send it requests: its `/health` shows a worker some milliseconds before its model's requests go there. */
  addWorker(role: Role): Promise<Worker>;
  /** End one, in whichever way. @returns how it ended. */
  endWorker(worker: Worker, signal: NodeJS.Signals): Promise<number | NodeJS.Signals>;
  /** Orderly end of all. @returns how each ended. */
  drain(): Promise<readonly (readonly [name: string, exit: number | NodeJS.Signals])[]>;
}

type OnLine = (line: string, name: string) => void;

/** Open a fleet without members, in a discovery directory of its own. Its members drain if this process is gone; `process.exit` kills them. */
export async function openFleet(onLine: OnLine): Promise<Fleet> {
  const directory = await mkdtemp(join(tmpdir(), "dyn-fleet-"));
  return new FleetParts(directory, onLine);
}

class FleetParts implements Fleet {
  readonly directory: string;
  readonly frontends: Frontend[] = [];
  readonly workers: Worker[] = [];
  #onLine: OnLine;
  #frontendNames = 0;
  #workerNames = 0;
  #running = new Set<Program>();
  /** Name of a frontend, and the id of an instance that has joined there. */
  #joined = new Set<string>();

  constructor(directory: string, onLine: OnLine) {
    this.directory = directory;
    this.#onLine = onLine;
    process.once("exit", this.#endAtOnce);
  }

  #endAtOnce = (): void => {
    for (const program of this.#running) program.kill("SIGKILL");
    rmSync(this.directory, { recursive: true, force: true, maxRetries: 5 });
  };

  // Watches for one line of its start, then only passes lines on.
  async #start(
    name: string,
    command: string,
    args: readonly string[],
    look: (line: string) => boolean,
  ): Promise<Program> {
    let isThere = false;
    const env = { DYN_FILE_KV: this.directory, ...(command === "dyn-mock-worker" && { DYN_SYSTEM_PORT: "0" }) };
    const last: string[] = [];
    const onLine = (line: string): void => {
      this.#onLine(line, name);
      if (line.includes('"instance joined"')) this.#joined.add(`${name} ${readInstanceId(line)}`);
      if (isThere) return;
      last.push(line);
      isThere = look(line);
    };
    const program = startProgram(command, args, env, { onLine, isOwned: true });
    this.#running.add(program);
    program.child.once("exit", () => this.#running.delete(program));
    await eventually(
      `the start of ${name} (${command} ${args.join(" ")})`,
      () => isThere || program.child.exitCode !== null,
    );
    if (isThere) return program;
    throw new Error(`${name} ended at its start: ${last.slice(-3).join("\n")}`);
  }

  async addFrontend(args: readonly string[] = []): Promise<Frontend> {
    const name = `frontend ${(this.#frontendNames += 1)}`;
    const frontend = { name, args, ...(await this.#startFrontend(name, 0, args)) };
    this.frontends.push(frontend);
    return frontend;
  }

  async #startFrontend(
    name: string,
    given: number,
    args: readonly string[],
  ): Promise<{ program: Program; port: number }> {
    let port = 0;
    const program = await this.#start(name, "dyn-frontend", ["--http-port", String(given), ...args], (line) => {
      port = line.includes('"frontend is listening"') ? Number(/"port":(\d+)/.exec(line)?.[1]) : port;
      return port > 0;
    });
    return { program, port };
  }

  async restartFrontend(frontend: Frontend): Promise<number | NodeJS.Signals> {
    end(frontend.program, "SIGTERM");
    const exit = await frontend.program.exited;
    const { program } = await this.#startFrontend(frontend.name, frontend.port, frontend.args);
    frontend.program = program;
    return exit;
  }

  async addWorker(role: Role): Promise<Worker> {
    const name = `worker ${(this.#workerNames += 1)}`;
    let [systemPort, instanceId] = [0, ""];
    const program = await this.#start(name, "dyn-mock-worker", role, (line) => {
      if (line.includes('"system server is listening"')) systemPort = Number(/"port":(\d+)/.exec(line)?.[1]);
      if (line.includes('"endpoint is serving"')) instanceId = readInstanceId(line);
      return instanceId !== "";
    });
    const worker = { name, role, program, instanceId, systemPort };
    this.workers.push(worker);
    await this.#seen(worker);
    return worker;
  }

  async #seen({ name, instanceId }: Worker): Promise<void> {
    await eventually(`${name} at every frontend`, () =>
      this.frontends.every((frontend) => this.#joined.has(`${frontend.name} ${instanceId}`)),
    );
  }

  endWorker(worker: Worker, signal: NodeJS.Signals): Promise<number | NodeJS.Signals> {
    this.workers.splice(this.workers.indexOf(worker), 1);
    end(worker.program, signal);
    return worker.program.exited;
  }

  async drain(): Promise<(readonly [string, number | NodeJS.Signals])[]> {
    const members = [...this.frontends, ...this.workers];
    for (const { program } of members) end(program, "SIGTERM");
    return Promise.all(members.map(async ({ name, program }) => [name, await program.exited] as const));
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await Promise.all(Array.from(this.#running, (program) => program[Symbol.asyncDispose]()));
    await rm(this.directory, { recursive: true, force: true, maxRetries: 5 });
    process.off("exit", this.#endAtOnce);
  }
}

// One that is stopped would take a signal only once it goes on.
function end(program: Program, signal: NodeJS.Signals): void {
  program.kill("SIGCONT");
  program.kill(signal);
}

function readInstanceId(line: string): string {
  return /"instance_id":"(\d+)"/.exec(line)?.[1] ?? "";
}
