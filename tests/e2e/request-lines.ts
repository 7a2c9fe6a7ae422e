/** The lines of one request, as the processes of a cluster write them. */
import { randomUUID } from "node:crypto";
import { expect } from "vitest";
import { chat, lineOf, postChat, type Cluster, type Line, type Program } from "../support/cluster.ts";

/** The lines a program has written about the request with this `x-request-id`. */
export function linesOf(program: Program | undefined, id: string): Line[] {
  return program?.lines().filter((line) => line["x_request_id"] === id) ?? [];
}

/** Those with this message. */
export function named(lines: readonly Line[], message: string): Line[] {
  return lines.filter((line) => line["message"] === message);
}

/** One of each lifecycle line, and no second completion after it. */
export async function lifecycle(
  frontend: Program,
  id: string,
  status: string,
): Promise<{ received: Line; completed: Line; sent: Line }> {
  await lineOf(frontend, "request completed", { x_request_id: id });
  const lines = linesOf(frontend, id);
  const [received, completed, sent] = ["request received", "request completed", "http response sent"].map((message) => {
    const found = named(lines, message);
    expect(found).toHaveLength(1);
    return found[0] ?? {};
  });
  expect(completed?.["status"]).toBe(status);
  for (const line of lines) {
    for (const [key, value] of Object.entries(line)) {
      if (/_ms$|_tokens$|^status$|^bytes$|^attempts$/.test(key) && key !== "status")
        expect(value, key).toBeTypeOf("number");
    }
  }
  return { received: received ?? {}, completed: completed ?? {}, sent: sent ?? {} };
}

/** A worker's two lines of a request, each written once. */
export async function ofWorker(worker: Program | undefined, id: string): Promise<{ received: Line; completed: Line }> {
  await lineOf(worker, "request completed", { x_request_id: id });
  const lines = linesOf(worker, id);
  for (const message of ["request received", "request completed"]) expect(named(lines, message)).toHaveLength(1);
  return { received: named(lines, "request received")[0] ?? {}, completed: named(lines, "request completed")[0] ?? {} };
}

/** Send a chat of seven words. @returns its `x-request-id`, and the answer. */
export async function send(
  cluster: Cluster,
  more: Readonly<Record<string, unknown>> = {},
  headers: Readonly<Record<string, string>> = {},
): Promise<[string, Response]> {
  const id = randomUUID();
  return [
    id,
    await postChat(cluster.url, chat("one two three four five six seven", more), { "x-request-id": id, ...headers }),
  ];
}
