// The commands: their flags, and mistakes that end a program at its start with one line.
import { expect, test } from "vitest";
import { chat, eventually, postChat, startCluster, startProgram, type Line } from "../support/cluster.ts";

test.each([
  [["--no-such-flag"], "dyn-frontend: unknown option '--no-such-flag'; see dyn-frontend --help"],
  [["tracee"], "dyn-frontend: too many arguments. Expected 0 arguments but got 1: tracee; see dyn-frontend --help"],
  [["--http-port", "99999"], '--http-port "99999": expected a whole number from 0 to 65535'],
  [["--http-prt", "1"], "unknown option '--http-prt' (Did you mean --http-port?)"],
  [["--log", "chatty"], '--log "chatty": unknown log level "chatty"'],
])("dyn-frontend %j says what is wrong and exits non-zero", async (args, message) => {
  await using program = startProgram("dyn-frontend", args);
  expect(await program.exited).not.toBe(0);
  expect(program.stderr()).toContain(message);
  expect(program.stderr().trim().split("\n")).toHaveLength(1);
});

test("a switch may stand alone or have a value", async () => {
  await using cluster = await startCluster({
    workers: 0,
    frontendArgs: ["--strict-request-id", "--log-jsonl"],
    env: { DYN_LOGGING_JSONL: "0" },
  });
  const message = "request-id header must be a valid UUID, got: mine";
  for (const [path, body] of [
    ["chat/completions", { error: { message, type: "invalid_request_error", param: null, code: null } }],
    ["messages", { type: "error", error: { type: "invalid_request_error", message } }],
  ] as const) {
    const response = await fetch(`${cluster.url}/v1/${path}`, { method: "POST", headers: { "request-id": "mine" } });
    expect(response.status).toBe(400);
    expect(await response.json()).toMatchObject(body);
    const ours = response.headers.get("request-id");
    expect(ours).toMatch(/^[0-9a-f-]{36}$/);
    const completed = (line: Line): boolean => line["request_id"] === ours && line["message"] === "request completed";
    expect(await eventually("its line", () => cluster.frontend.lines().find(completed))).toMatchObject({
      error_type: "validation",
      error: message,
    });
  }
  await using lax = await startCluster({
    workers: 0,
    frontendArgs: ["--strict-request-id", "off"],
    env: { DYN_STRICT_REQUEST_ID: "1" },
  });
  expect((await postChat(lax.url, chat("hi"), { "request-id": "mine" })).status).toBe(404);
});

test("a port in use is one clear line and a non-zero exit", async () => {
  await using cluster = await startCluster({ workers: 0 });
  const port = new URL(cluster.url).port;
  await using second = startProgram("dyn-frontend", ["--http-port", port], { DYN_FILE_KV: cluster.directory });
  expect(await second.exited).toBe(1);
  expect(second.stderr().trim().split("\n")).toHaveLength(1);
  expect(second.stderr()).toContain(`cannot listen on http://127.0.0.1:${port}`);
});

test.each([
  ["dyn-frontend", "/dev/null/kv", "ENOTDIR"],
  ["dyn-mock-worker", "/dev/null/kv", "ENOTDIR"],
  ["dyn-frontend", "/proc/nope", "E"], // Linux: it is there and takes no children
  ["dyn-mock-worker", " /proc/nope\n", "E"],
])("%s with the discovery directory %j is one clear line and a non-zero exit", async (command, directory, code) => {
  await using program = startProgram(command, ["--file-kv", directory], { DYN_HTTP_PORT: "0" });
  expect(await program.exited).toBe(1);
  expect(program.stderr().trim().split("\n")).toHaveLength(1);
  expect(program.stderr()).toContain(
    `${command}: the discovery directory ${directory.trim()} (--file-kv, DYN_FILE_KV) cannot be used: ${code}`,
  );
});

test.each(["dyn-frontend", "dyn-mock-worker", "dyn-upstream-worker"])(
  "%s --help shows every variable and default",
  async (command) => {
    await using program = startProgram(command, ["--help"]);
    expect(await program.exited).toBe(0);
    expect(program.stdout()).toContain("DYN_FILE_KV");
    expect(program.stdout().replaceAll(/\s+/g, " ")).toMatch(/default "info"/); // lines are broken to the width of the terminal
  },
);
