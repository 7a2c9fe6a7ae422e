// In a container without an init our programs are process 1, which Linux spares every signal that is not handled.
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, test } from "vitest";
import { chat, eventually, postChat, type Program } from "../support/cluster.ts";
import { startFirst } from "./first-process.ts";

let directory: string;
beforeEach(async () => {
  directory = await mkdtemp(join(tmpdir(), "dyn-first-"));
});
afterEach(() => rm(directory, { recursive: true, force: true, maxRetries: 5 }));

const has = (program: Program, text: string): Promise<unknown> =>
  eventually(text, () => program.lines().find(({ message }) => String(message).startsWith(text)));

test.each(["dyn-frontend", "dyn-mock-worker"])(
  "a second signal ends %s as process 1, though a request runs",
  async (name) => {
    const env = { DYN_FILE_KV: directory };
    await using frontend = await startFirst("packages/frontend/dist/cli.js", ["--http-port", "0"], env);
    await using worker = await startFirst("packages/mock-worker/dist/cli.js", ["--ttft-ms", "600000"], env);
    await has(frontend.program, "instance joined");
    const listening = frontend.program.lines().find(({ message }) => message === "frontend is listening");
    const answer = postChat(String(listening?.["url"]), chat("hi")).catch(() => undefined);
    await has(worker.program, "request received");
    const { program, kill } = name === "dyn-frontend" ? frontend : worker;
    kill("SIGTERM");
    await has(program, "shutdown requested");
    kill("SIGTERM");
    expect(await program.exited).toBe(143);
    await answer;
  },
);

test("the fault crash ends dyn-mock-worker as process 1", async () => {
  const env = { DYN_FILE_KV: directory };
  await using frontend = await startFirst("packages/frontend/dist/cli.js", ["--http-port", "0"], env);
  await using worker = await startFirst(
    "packages/mock-worker/dist/cli.js",
    ["--fault", "crash@1", "--migration-limit", "0"],
    env,
  );
  await has(frontend.program, "instance joined");
  const listening = frontend.program.lines().find(({ message }) => message === "frontend is listening");
  const answer = await postChat(String(listening?.["url"]), chat("hi you"));
  expect(await answer.json()).toMatchObject({ error: { code: "worker_disconnected" } });
  expect(await worker.program.exited).toBe(137);
});
