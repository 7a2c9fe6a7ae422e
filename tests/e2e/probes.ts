/** Asking a worker's system server. */
import { expect } from "vitest";

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
