// A port of their own for operators: what is for them is there, and nowhere else.
import { once } from "node:events";
import { readFileSync } from "node:fs";
import { connect as connectTls } from "node:tls";
import { createFrontend, type Frontend } from "@dyn/frontend";
import { startMockWorker } from "@dyn/mock-worker";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { parseFaults } from "../../packages/mock-worker/dist/faults/faults.js";
import { createAuthority, replacePem } from "../support/certificates.ts";
import { chat, eventually, postChat } from "../support/cluster.ts";
import { sendRaw } from "../support/raw-http.ts";
import {
  askAsAnn,
  countExemplars,
  get,
  keys,
  openMetrics,
  startOwners,
  statuses,
  type Owners,
  type Who,
} from "./owners.ts";

let owners: Owners;
beforeAll(async () => {
  owners = await startOwners();
});
afterAll(() => owners[Symbol.asyncDispose]());

describe("with a port for operators", () => {
  const operatorPort = 0;

  /** The statuses of a GET at both ports. */
  const atBoth = async ({ url, operatorUrl = "" }: Frontend, path: string, who: Who): Promise<readonly number[]> => {
    const answers = await Promise.all([url, operatorUrl].map((base) => get({ url: base }, path, who)));
    return answers.map(({ status }) => status);
  };

  test("what is for operators is there and nowhere else, for whoever reaches it", async () => {
    await using frontend = await owners.start({ apiKeysFile: owners.apiKeysFile, operatorPort });
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
    await using frontend = await owners.start({ operatorPort });
    expect((await get(frontend, "/health", "nobody")).text).toBe('{"status":"healthy"}');
    expect(await atBoth(frontend, "/metrics", "nobody")).toEqual([404, 200]);
  });

  test("a key of an operator is needed there, too, if there are any", async () => {
    await using frontend = await owners.start({
      apiKeysFile: owners.apiKeysFile,
      operatorPort,
      config: { operatorKeysFile: owners.operatorKeysFile },
    });
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
    await using frontend = await owners.start({ operatorPort, httpMaxHeaders: 10, httpCorsOrigins: ["*"] });
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
      config: { fileKv: owners.directory, log: "off" },
      modelName: "slow",
      component: "slow",
      fault: parseFaults("hang@1"),
    });
    const frontend = await owners.start({ operatorPort });
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
    const config = { fileKv: owners.directory, log: "off" };
    const portOf = ({ operatorUrl = "" }: Frontend): number => Number(new URL(operatorUrl).port);
    await using first = await owners.start({ operatorPort });
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
      config: { fileKv: owners.directory, log: "off" },
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
