// What a key sees of the requests of others: nothing. What operators see: all of it, at a port of their own if there is one.
import { createHash } from "node:crypto";
import { once } from "node:events";
import { readFileSync } from "node:fs";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { connect as connectTls } from "node:tls";
import { createFrontend, type CreateFrontendOptions, type Frontend } from "@dyn/frontend";
import { startMockWorker, type MockWorker } from "@dyn/mock-worker";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { parseFaults } from "../../packages/mock-worker/dist/faults.js";
import { createAuthority, replacePem } from "../support/certificates.ts";
import { chat, eventually, postChat } from "../support/cluster.ts";
import { parseOpenMetrics } from "../support/open-metrics.ts";
import { sendRaw } from "../support/raw-http.ts";

const keys = { ann: "key-of-ann-0123456789", bob: "key-of-bob-0123456789", prometheus: "key-of-prometheus-0123456789" };
type Who = keyof typeof keys | "nobody";

const openMetrics = { accept: "application/openmetrics-text; version=1.0.0" };
const traceId = "4bf92f3577b34da6a3ce929d0e0e4736";

let directory: string;
let worker: MockWorker;
let apiKeysFile: string;
let operatorKeysFile: string;

async function writeKeys(name: string, ...owners: readonly (keyof typeof keys)[]): Promise<string> {
  const path = join(directory, name);
  const lines = owners.map((owner) => `${createHash("sha256").update(keys[owner]).digest("hex")} team`); // names alike: they are for log lines
  await writeFile(path, `${lines.join("\n")}\n`);
  return path;
}

beforeAll(async () => {
  directory = await mkdtemp(join(tmpdir(), "dyn-owners-"));
  apiKeysFile = await writeKeys("api-keys", "ann", "bob");
  operatorKeysFile = await writeKeys("operator-keys", "prometheus");
  worker = await startMockWorker({ config: { fileKv: directory, log: "off" } });
});

afterAll(async () => {
  await worker[Symbol.asyncDispose]();
  await rm(directory, { recursive: true, force: true, maxRetries: 5 });
});

async function start({ config, ...options }: CreateFrontendOptions = {}): Promise<Frontend> {
  const frontend = await createFrontend({
    ...options,
    httpPort: 0,
    config: { fileKv: directory, log: "off", ...config },
  });
  await eventually("the model", async () => (await postChat(frontend.url, chat("x"), { "x-api-key": keys.ann })).ok);
  return frontend;
}

/** A port. */
interface At {
  readonly url: string;
}

interface Answer {
  readonly status: number;
  readonly text: string;
}

async function get(
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

const statuses = async (at: At, path: string): Promise<Record<string, number>> => {
  const all = (["ann", "bob", "prometheus", "nobody"] as const).map(
    async (who) => [who, (await get(at, path, who)).status] as const,
  );
  return Object.fromEntries(await Promise.all(all));
};

function countExemplars(page: string): number {
  return [...parseOpenMetrics(page).families.values()]
    .flatMap(({ samples }) => samples)
    .filter(({ exemplar }) => exemplar).length;
}

/** Ann asks something. @returns all that her request can be found by. */
async function askAsAnn({ url }: Frontend): Promise<readonly string[]> {
  const headers = {
    authorization: `Bearer ${keys.ann}`,
    "x-request-id": "order-4711",
    traceparent: `00-${traceId}-00f067aa0ba902b7-01`,
  };
  const response = await postChat(url, chat("x"), headers);
  const { id } = (await response.json()) as { id: string };
  return [response.headers.get("request-id") ?? "", "order-4711", traceId, id];
}

describe("with keys of clients and of operators", () => {
  let frontend: Frontend;
  beforeAll(async () => {
    frontend = await start({ apiKeysFile, config: { operatorKeysFile } });
  });
  afterAll(() => frontend[Symbol.asyncDispose]());

  test("a request is there for the key that made it and for operators; for another key it is an unknown one to the last character", async () => {
    const ids = await askAsAnn(frontend);
    for (const id of ids) {
      expect(await statuses(frontend, `/v1/requests/${id}`)).toEqual({
        ann: 200,
        bob: 404,
        prometheus: 200,
        nobody: 401,
      });
      const hidden = await get(frontend, `/v1/requests/${id}`, "bob");
      const unknown = await get(frontend, `/v1/requests/${id.replace(/.$/, "_")}`, "bob");
      expect(hidden.text.replace(id, "ID")).toBe(unknown.text.replace(id.replace(/.$/, "_"), "ID"));
    }
  });

  test("a key that uses another's client id and trace sees its own request alone", async () => {
    await askAsAnn(frontend);
    const headers = {
      "x-api-key": keys.bob,
      "x-request-id": "order-4711",
      traceparent: `00-${traceId}-00f067aa0ba902b7-01`,
    };
    const own = (await postChat(frontend.url, chat("x"), headers)).headers.get("request-id");
    for (const id of ["order-4711", traceId]) {
      const { text } = await get(frontend, `/v1/requests/${id}`, "bob");
      expect(JSON.parse(text)).toMatchObject({ request_id: own });
      expect(text).not.toContain("others");
      expect(JSON.parse((await get(frontend, `/v1/requests/${id}`, "prometheus")).text)).toMatchObject({
        others: expect.any(Array),
      });
    }
  });

  test("requests without a key are not remembered, so that they push out none of a client's", async () => {
    await using small = await start({ apiKeysFile, requestHistory: 2 });
    const [id = ""] = await askAsAnn(small);
    const refused = await Promise.all(Array.from({ length: 5 }, () => postChat(small.url, chat("x"))));
    expect(refused.map(({ status }) => status)).toEqual(refused.map(() => 401));
    expect((await get(small, `/v1/requests/${id}`, "ann")).status).toBe(200);
  });

  test("metrics are for operators, with exemplars", async () => {
    expect(await statuses(frontend, "/metrics")).toEqual({ ann: 401, bob: 401, prometheus: 200, nobody: 401 });
    expect((await get(frontend, "/metrics", "ann")).text).toContain("the operator's key is not known here");
    expect((await get(frontend, "/metrics", "nobody")).text).toContain("an operator's key is required");
    expect(countExemplars((await get(frontend, "/metrics", "prometheus", openMetrics)).text)).toBeGreaterThan(0);
  });

  test("probes need no key, and say who is there to operators alone", async () => {
    for (const who of ["ann", "nobody"] as const) {
      expect(await get(frontend, "/health", who)).toEqual({ status: 200, text: '{"status":"healthy"}' });
      expect(await get(frontend, "/live", who)).toEqual({
        status: 200,
        text: '{"status":"live","message":"Service is live"}',
      });
    }
    expect((await get(frontend, "/health", "prometheus")).text).toMatch(/"tcp":"127\.0\.0\.1:\d+/);
    expect((await get(frontend, "/live", "prometheus")).text).toContain('"discovery":{"state":"listing"}');
  });

  test("an operator's key asks no model", async () => {
    expect((await postChat(frontend.url, chat("x"), { "x-api-key": keys.prometheus })).status).toBe(401);
    expect((await get(frontend, "/v1/models", "prometheus")).status).toBe(401);
    expect((await get(frontend, "/v1/models", "ann")).status).toBe(200);
  });
});

test("with keys of clients alone nobody is an operator: metrics have no exemplars, and a request is its key's alone", async () => {
  await using frontend = await start({ apiKeysFile });
  for (const id of await askAsAnn(frontend))
    expect(await statuses(frontend, `/v1/requests/${id}`)).toEqual({
      ann: 200,
      bob: 404,
      prometheus: 401,
      nobody: 401,
    });
  for (const who of ["ann", "nobody"] as const) {
    const { status, text } = await get(frontend, "/metrics", who, openMetrics);
    expect({ status, exemplars: countExemplars(text) }).toEqual({ status: 200, exemplars: 0 });
    expect(text).not.toContain(traceId);
    expect((await get(frontend, "/health", who)).text).toBe('{"status":"healthy"}');
  }
});

test("with keys of operators alone everybody asks models, and only operators see requests", async () => {
  await using frontend = await start({ config: { operatorKeysFile } });
  for (const id of await askAsAnn(frontend))
    expect(await statuses(frontend, `/v1/requests/${id}`)).toEqual({
      ann: 401,
      bob: 401,
      prometheus: 200,
      nobody: 401,
    });
  expect(await statuses(frontend, "/metrics")).toMatchObject({ nobody: 401, prometheus: 200 });
  expect(await statuses(frontend, "/v1/models")).toMatchObject({ nobody: 200, prometheus: 200 });
});

test("without keys everybody sees all of it", async () => {
  await using frontend = await start();
  for (const id of await askAsAnn(frontend))
    expect((await get(frontend, `/v1/requests/${id}`, "nobody")).status).toBe(200);
  expect(countExemplars((await get(frontend, "/metrics", "nobody", openMetrics)).text)).toBeGreaterThan(0);
  expect((await get(frontend, "/health", "nobody")).text).toMatch(/"tcp":"127\.0\.0\.1:\d+/);
});

test("keys of operators come and go with their file", async () => {
  const path = await writeKeys("changing", "prometheus");
  await using frontend = await start({ apiKeysFile, config: { operatorKeysFile: path } });
  expect((await get(frontend, "/metrics", "bob")).status).toBe(401);
  await writeKeys("changing", "bob");
  await eventually("the other key", async () => (await get(frontend, "/metrics", "bob")).status === 200);
  expect((await get(frontend, "/metrics", "prometheus")).status).toBe(401);
});

describe("with a port for operators", () => {
  const operatorPort = 0;

  /** The statuses of a GET at both ports. */
  const atBoth = async ({ url, operatorUrl = "" }: Frontend, path: string, who: Who): Promise<readonly number[]> => {
    const answers = await Promise.all([url, operatorUrl].map((base) => get({ url: base }, path, who)));
    return answers.map(({ status }) => status);
  };

  test("what is for operators is there and nowhere else, for whoever reaches it", async () => {
    await using frontend = await start({ apiKeysFile, operatorPort });
    const operators = { url: frontend.operatorUrl ?? "" };
    for (const id of await askAsAnn(frontend))
      expect(await atBoth(frontend, `/v1/requests/${id}`, "nobody")).toEqual([404, 200]);
    expect(await atBoth(frontend, `/v1/requests/order-4711`, "ann")).toEqual([404, 200]);
    expect(await atBoth(frontend, "/metrics", "nobody")).toEqual([404, 200]);
    expect(countExemplars((await get(operators, "/metrics", "nobody", openMetrics)).text)).toBeGreaterThan(0);
    expect((await get(frontend, "/health", "nobody")).text).toBe('{"status":"healthy"}');
    expect((await get(operators, "/health", "nobody")).text).toMatch(/"tcp":"127\.0\.0\.1:\d+/);
    expect(await atBoth(frontend, "/live", "nobody")).toEqual([200, 200]);
    expect(await atBoth(frontend, "/v1/models", "ann")).toEqual([200, 404]);
    expect((await postChat(operators.url, chat("x"), { "x-api-key": keys.ann })).status).toBe(404);
    const [listed, listedThere] = await Promise.all(
      [frontend, operators].map(async (at) => (await get(at, "/", "nobody")).text),
    );
    expect(listed).toContain("POST /v1/chat/completions");
    expect(listed).not.toMatch(/metrics|requests/);
    expect(listedThere).toMatch(/GET \/v1\/requests\/\{id\}.*GET \/metrics/);
    expect(listedThere).not.toMatch(/chat|models/);
  });

  test("without any keys the other port still tells nobody who is there", async () => {
    await using frontend = await start({ operatorPort });
    expect((await get(frontend, "/health", "nobody")).text).toBe('{"status":"healthy"}');
    expect(await atBoth(frontend, "/metrics", "nobody")).toEqual([404, 200]);
  });

  test("a key of an operator is needed there, too, if there are any", async () => {
    await using frontend = await start({ apiKeysFile, operatorPort, config: { operatorKeysFile } });
    await askAsAnn(frontend);
    const operators = { url: frontend.operatorUrl ?? "" };
    expect(await statuses(operators, "/metrics")).toEqual({ ann: 401, bob: 401, prometheus: 200, nobody: 401 });
    expect(await statuses(operators, "/v1/requests/order-4711")).toEqual({
      ann: 200,
      bob: 404,
      prometheus: 200,
      nobody: 401,
    });
    expect((await get(operators, "/health", "nobody")).text).toBe('{"status":"healthy"}');
    expect((await get(operators, "/health", "prometheus")).text).toContain("instances");
    expect((await get(frontend, "/health", "prometheus")).text).toBe('{"status":"healthy"}');
  });

  test("it has the limits of the other, answers bytes that are no request, and no pages of other origins", async () => {
    await using frontend = await start({ operatorPort, maxHeaders: 10, corsOrigins: ["*"] });
    const { operatorUrl = "" } = frontend;
    expect(
      (await fetch(operatorUrl, { headers: { origin: "https://a.example" } })).headers.get(
        "access-control-allow-origin",
      ),
    ).toBeNull();
    expect(
      (await fetch(frontend.url, { headers: { origin: "https://a.example" } })).headers.get(
        "access-control-allow-origin",
      ),
    ).toBe("*");
    const requestLine = "GET /live HTTP/1.1";
    expect(
      (await sendRaw(operatorUrl, { requestLine, headers: Array.from({ length: 10 }, (_, at) => `x-${at}: 1`) }))
        .status,
    ).toBe(431);
    expect((await sendRaw(operatorUrl, { requestLine: "GET / HTTP/1.1 what" })).status).toBe(400);
  });

  test("it shows a drain until the last answer of the other port is out, and closes then", async () => {
    await using slow = await startMockWorker({
      config: { fileKv: directory, log: "off" },
      modelName: "slow",
      component: "slow",
      fault: parseFaults("hang@1"),
    });
    const frontend = await start({ operatorPort });
    const operators = { url: frontend.operatorUrl ?? "" };
    await eventually("the model", async () => (await get(frontend, "/v1/models", "nobody")).text.includes("slow"));
    const answer = await postChat(frontend.url, chat("a b", { model: "slow", stream: true }));
    const closed = frontend[Symbol.asyncDispose]();
    const health = await get(operators, "/health", "nobody");
    expect({ status: health.status, text: health.text }).toMatchObject({
      status: 503,
      text: expect.stringContaining('"stage":"draining"'),
    });
    expect((await get(operators, "/metrics", "nobody")).text).toMatch(
      /dynamo_frontend_active_requests\{model="slow"\} 1/,
    );
    await expect(fetch(frontend.url)).rejects.toThrow();
    slow.inject([]);
    expect(await answer.text()).toContain("[DONE]");
    await closed;
    await expect(fetch(operators.url)).rejects.toThrow();
  });

  test("a port that is taken is named by its own flag, and nothing stays open", async () => {
    const config = { fileKv: directory, log: "off" };
    const portOf = ({ operatorUrl = "" }: Frontend): number => Number(new URL(operatorUrl).port);
    await using first = await start({ operatorPort });
    const second = await createFrontend({ httpPort: 0, operatorPort, config });
    await second[Symbol.asyncDispose]();
    const given = createFrontend({ httpPort: 0, operatorPort: portOf(first), config });
    await expect(given).rejects.toThrow(/choose another port with --operator-port or DYN_OPERATOR_PORT/);
    const other = createFrontend({ httpPort: first.port, operatorPort: portOf(second), config });
    await expect(other).rejects.toThrow(/choose another port with --http-port or DYN_HTTP_PORT/);
    await expect(fetch(second.operatorUrl ?? "")).rejects.toThrow();
  });

  test("it has the same certificate, also after that has changed", async () => {
    using authority = await createAuthority();
    const pem = await authority.issue("first");
    const frontend = await createFrontend({
      httpPort: 0,
      operatorPort,
      tlsCertPath: pem.cert,
      tlsKeyPath: pem.key,
      config: { fileKv: directory, log: "off" },
    });
    const nameAt = async (url = ""): Promise<string> => {
      const { hostname: host, port } = new URL(url);
      const socket = connectTls({ host, port: Number(port), ca: readFileSync(authority.ca) });
      await once(socket, "secureConnect");
      const { CN } = socket.getPeerCertificate().subject;
      socket.destroy();
      return String(CN);
    };
    try {
      expect(frontend.operatorUrl).toMatch(/^https:/);
      expect([await nameAt(frontend.url), await nameAt(frontend.operatorUrl)]).toEqual(["first", "first"]);
      replacePem(pem, await authority.issue("second"));
      for (const url of [frontend.url, frontend.operatorUrl])
        await eventually("the other", async () => (await nameAt(url)) === "second");
    } finally {
      await frontend[Symbol.asyncDispose]();
    }
  });
});
