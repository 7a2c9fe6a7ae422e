/** Two clients and an operator with their keys, a worker, and frontends that know them. */
import { createHash } from "node:crypto";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createFrontend, type CreateFrontendOptions, type Frontend } from "@dyn/frontend";
import { startMockWorker } from "@dyn/mock-worker";
import { chat, eventually, postChat } from "../support/cluster.ts";
import { parseOpenMetrics } from "../support/open-metrics.ts";

/** Everybody who has a key. */
export const keys = {
  ann: "key-of-ann-0123456789",
  bob: "key-of-bob-0123456789",
  prometheus: "key-of-prometheus-0123456789",
};
/** Whoever asks. */
export type Who = keyof typeof keys | "nobody";

/** Asks for a page with exemplars. */
export const openMetrics = { accept: "application/openmetrics-text; version=1.0.0" };
/** The trace of Ann's request. */
export const traceId = "4bf92f3577b34da6a3ce929d0e0e4736";

/** Their keys in files, and a worker without lines. */
export interface Owners extends AsyncDisposable {
  readonly directory: string;
  /** Ann's and Bob's. */
  readonly apiKeysFile: string;
  readonly operatorKeysFile: string;
  /** @returns the path of a file with the keys of `owners`. */
  writeKeys(name: string, ...owners: readonly (keyof typeof keys)[]): Promise<string>;
  /** A frontend at a port of its own, once it has the worker's model. */
  start(options?: CreateFrontendOptions): Promise<Frontend>;
}

/** Write the files of keys, and start the worker. */
export async function startOwners(): Promise<Owners> {
  const directory = await mkdtemp(join(tmpdir(), "dyn-owners-"));
  const writeKeys: Owners["writeKeys"] = async (name, ...owners) => {
    const path = join(directory, name);
    const lines = owners.map((owner) => `${createHash("sha256").update(keys[owner]).digest("hex")} team`); // names alike: they are for log lines
    await writeFile(path, `${lines.join("\n")}\n`);
    return path;
  };
  const apiKeysFile = await writeKeys("api-keys", "ann", "bob");
  const operatorKeysFile = await writeKeys("operator-keys", "prometheus");
  const worker = await startMockWorker({ config: { fileKv: directory, log: "off" } });
  return {
    directory,
    apiKeysFile,
    operatorKeysFile,
    writeKeys,
    async start({ config, ...options } = {}) {
      const frontend = await createFrontend({
        ...options,
        httpPort: 0,
        config: { fileKv: directory, log: "off", ...config },
      });
      const ask = (): Promise<Response> => postChat(frontend.url, chat("x"), { "x-api-key": keys.ann });
      await eventually("the model", async () => (await ask()).ok);
      return frontend;
    },
    async [Symbol.asyncDispose]() {
      await worker[Symbol.asyncDispose]();
      await rm(directory, { recursive: true, force: true, maxRetries: 5 });
    },
  };
}

/** A port. */
export interface At {
  readonly url: string;
}

/** What came back. */
export interface Answer {
  readonly status: number;
  readonly text: string;
}

/** GET a path with somebody's key. */
export async function get(
  { url }: At,
  path: string,
  who: Who,
  headers: Readonly<Record<string, string>> = {},
): Promise<Answer> {
  const response = await fetch(`${url}${path}`, {
    headers: { ...headers, ...(who !== "nobody" && { "x-api-key": keys[who] }) },
  });
  return { status: response.status, text: await response.text() };
}

/** The status that each of them gets. */
export const statuses = async (at: At, path: string): Promise<Record<string, number>> => {
  const all = (["ann", "bob", "prometheus", "nobody"] as const).map(
    async (who) => [who, (await get(at, path, who)).status] as const,
  );
  return Object.fromEntries(await Promise.all(all));
};

/** How many samples of a page have one. */
export function countExemplars(page: string): number {
  return [...parseOpenMetrics(page).families.values()]
    .flatMap(({ samples }) => samples)
    .filter(({ exemplar }) => exemplar).length;
}

/** Ann asks something. @returns all that her request can be found by. */
export async function askAsAnn({ url }: Frontend): Promise<readonly string[]> {
  const headers = {
    authorization: `Bearer ${keys.ann}`,
    "x-request-id": "order-4711",
    traceparent: `00-${traceId}-00f067aa0ba902b7-01`,
  };
  const response = await postChat(url, chat("x"), headers);
  const { id } = (await response.json()) as { id: string };
  return [response.headers.get("request-id") ?? "", "order-4711", traceId, id];
}
