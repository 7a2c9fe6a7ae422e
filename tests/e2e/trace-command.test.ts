// The command that follows a request: what logs may come from, and what it says to wrong usage.
import { execFile, execFileSync, spawn } from "node:child_process";
import { once } from "node:events";
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import type { Writable } from "node:stream";
import { expect, test } from "vitest";
import { chat, postChat, root, startCluster, startProgram } from "../support/cluster.ts";
import { completed, run, saveLogs, type Traced } from "./traced.ts";

function runShell(command: string): Promise<Traced> {
  const env = { ...process.env, PATH: `${join(root, "node_modules/.bin")}:${process.env["PATH"] ?? ""}` };
  return new Promise((resolve) => {
    execFile("sh", ["-c", command], { env }, (error, stdout, stderr) =>
      resolve({ code: Number(error?.code ?? 0), stdout, stderr }),
    );
  });
}

test("logs from pipes, named and not, and from a socket are looked at: with all of them whole, without a worker's not", async () => {
  await using cluster = await startCluster();
  expect((await postChat(cluster.url, chat("one two"), { "x-request-id": "piped" })).status).toBe(200);
  await completed([cluster.frontend, ...cluster.workers], "piped");
  const [frontend = "", worker = ""] = await saveLogs(cluster);
  for (const file of [frontend, worker]) execFileSync("mkfifo", [`${file}.pipe`]);
  const [fill, node] = [`cat ${worker} >${worker}.pipe &`, `dyn-frontend trace piped`];
  const whole = [
    `cat ${frontend} ${worker} | ${node} -`,
    `cat ${frontend} ${worker} | ${node} /dev/stdin --json`,
    `${fill} cat ${frontend} | ${node} /dev/stdin ${worker}.pipe`,
    `${fill} ${node} ${frontend} /dev/fd/3 3<${worker}.pipe`,
    `cat ${worker} >${worker}.pipe && cat ${frontend} >${frontend}.pipe & ${node} ${frontend}.pipe ${worker}.pipe`,
  ];
  for (const command of whole) {
    const { code, stdout, stderr } = await runShell(command);
    expect([command, code, stderr]).toEqual([
      command,
      0,
      expect.stringMatching(/: JSONL, \d+ lines, \d+ of dyn, [2-7] of this request\n$/),
    ]);
    expect(stdout).toMatch(/^✓ the lineage is whole \(5 lines|"problems":\[\]/m);
  }
  for (const flag of ["", "--json"]) {
    const { code, stdout } = await runShell(`cat ${frontend} | ${node} - ${flag}`);
    expect([code, stdout]).toEqual([1, expect.stringMatching(/there is no line of instance/)]);
  }
  // What Node gives its children is no pipe, but a socket.
  for (const fd of [0, 3]) {
    const stdio = ["ignore", "ignore", "ignore", "ignore"].with(fd, "pipe") as ("ignore" | "pipe")[];
    const child = spawn(join(root, "node_modules/.bin/dyn-frontend"), ["trace", "piped", frontend, `/dev/fd/${fd}`], {
      stdio,
    });
    const exit = once(child, "exit");
    (child.stdio[fd] as Writable).end(await readFile(worker));
    expect(await exit).toEqual([0, null]);
  }
});

test("an id that is in none of the logs is no lineage: --json prints nothing, and the exit code says so", async () => {
  const { code, stdout, stderr } = await runShell(`: | dyn-frontend trace order-1 - --json`);
  expect([code, stdout]).toEqual([2, ""]);
  expect(stderr).toBe(
    "dyn-frontend trace: stdin: empty\ndyn-frontend trace: no JSON line in 1 log (0 bytes) has the id order-1\n",
  );
});

test.each<[string[], number, RegExp]>([
  [[], 2, /^dyn-frontend trace: missing required argument 'id'; see dyn-frontend trace --help\n$/],
  [["x"], 2, /^dyn-frontend trace: missing required argument 'log'; see dyn-frontend trace --help\n$/],
  [["x", "/nowhere.jsonl"], 2, /^dyn-frontend trace: cannot read \/nowhere\.jsonl: ENOENT[^\n]*\n$/],
  [
    ["nobody", "package.json"],
    2,
    /^dyn-frontend trace: package\.json: text, no JSONL of dyn [^\n]*, 0 of this request\ndyn-frontend trace: no JSON line in 1 log \(\d+ bytes\) has the id nobody\n$/,
  ],
  [
    ["x", "package.json", "--limit", "0"],
    2,
    /^dyn-frontend trace: option '--limit <count>' argument '0' is invalid\. expected a whole number from 1 to 30; /,
  ],
  [
    ["x", "package.json", "--http-port", "1"],
    2,
    /^dyn-frontend trace: unknown option '--http-port'; see dyn-frontend trace --help\n$/,
  ],
])("dyn-frontend trace %j says what is wrong in one line and exits %i", async (args, code, message) => {
  const traced = await run(...args);
  expect(traced.stderr).toMatch(message);
  expect(traced.code).toBe(code);
});

test("dyn-frontend --help mentions the command, and the command explains itself", async () => {
  await using program = startProgram("dyn-frontend", ["--help"]);
  expect(await program.exited).toBe(0);
  expect(program.stdout()).toMatch(/^ {2}trace \[options\] <id> <log\.\.\.> +follow one request/m);
  const { code, stdout } = await run("--help");
  expect(code).toBe(0);
  for (const text of [
    "--json",
    "--limit",
    "Exit code: 0",
    "1 something is missing",
    "2 wrong usage",
    "standard input",
    "░",
  ])
    expect(stdout).toContain(text);
});
