/** A coding agent: a home and a directory of its own, and nothing beyond this machine to talk to. */
import { mkdtemp, realpath, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { runClient, type Ran, type RunOptions } from "./run.ts";

export interface Agent extends AsyncDisposable {
  /** The directory that it works in, by its real path: agents ask before they leave it. */
  readonly directory: string;
  readonly home: string;
  /** Run it to its end, with its settings and these. @throws Error with all that it said if it fails. */
  run(args: readonly string[], options?: Omit<RunOptions, "cwd">): Promise<Ran>;
}

// Updates, telemetry, lists of models: whatever an agent still asks for goes to a port on which nobody listens.
const nobody = "http://127.0.0.1:9";
const alone = {
  HTTP_PROXY: nobody,
  HTTPS_PROXY: nobody,
  http_proxy: nobody,
  https_proxy: nobody,
  NO_PROXY: "127.0.0.1",
};

/** Open a place for an agent whose program is `binary`. */
export async function openAgent(binary: string, env: Readonly<Record<string, string>>): Promise<Agent> {
  const [home, directory] = await Promise.all(
    ["home", "work"].map(async (name) => realpath(await mkdtemp(join(tmpdir(), `dyn-agent-${name}-`)))),
  );
  if (home === undefined || directory === undefined) throw new Error("no directory was made");
  const settings = { HOME: home, TERM: "dumb", npm_config_offline: "true", ...alone, ...env };
  return {
    home,
    directory,
    async run(args, { env: more, ...options } = {}) {
      const ran = await runClient(binary, args, {
        timeoutMs: 200_000,
        ...options,
        cwd: directory,
        env: { ...settings, ...more },
      });
      if (ran.code !== 0) throw new Error(`it ended with ${ran.code}:\n${ran.stdout}\n${ran.stderr}`);
      return ran;
    },
    async [Symbol.asyncDispose]() {
      await Promise.all([home, directory].map((each) => rm(each, { recursive: true, force: true, maxRetries: 5 })));
    },
  };
}

/** Lines in which a user tells the mock what to call, one after the other. */
export function orders(...calls: readonly (readonly [tool: string, input: unknown])[]): string {
  return calls.map(([tool, input]) => `/call ${tool} ${JSON.stringify(input)}\n`).join("");
}
