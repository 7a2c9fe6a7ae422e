/** Asking a worker's system server. */
import { expect } from "vitest";
import type { Program } from "../support/cluster.ts";

/** Where a started worker has its system server. */
export function systemUrl(program: Program | undefined): string {
  const line = program?.lines().find(({ message }) => message === "system server is listening");
  return `http://127.0.0.1:${String(line?.["port"])}`;
}

/** What a probe is told. */
export interface Probe {
  readonly status: number;
  readonly body: unknown;
}

/** GET a JSON page of a system server. */
export async function probe(url: string): Promise<Probe> {
  const response = await fetch(url);
  expect(response.headers.get("content-type")).toBe("application/json");
  return { status: response.status, body: await response.json() };
}

/** In the answers of /live and /health. */
export const uptime = { secs: expect.any(Number), nanos: expect.any(Number) };
/** The same, while nothing is the matter. */
export const discovery = { state: "listing" };
