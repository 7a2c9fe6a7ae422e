// A host of its own: what its spans and lines say, and how it ends.
import { readFileSync } from "node:fs";
import { get } from "node:https";
import { text } from "node:stream/consumers";
import { expect, test } from "vitest";
import { RuntimeError } from "../../../packages/runtime/src/errors.ts";
import { parseApiKeys } from "../../../packages/runtime/src/http/api-keys.ts";
import { createCallers } from "../../../packages/runtime/src/http/callers.ts";
import { sendJson } from "../../../packages/runtime/src/http/reply.ts";
import { noSpan, offTracer, type Attributes } from "../../../packages/runtime/src/trace/spans.ts";
import { createAuthority } from "../../support/certificates.ts";
import { eventually } from "../../support/cluster.ts";
import { atOnce, open, route } from "./open-host.ts";

test("spans say which scheme a request came by", async () => {
  using authority = await createAuthority();
  const { cert, key } = await authority.issue("localhost");
  const [material, ca] = [{ cert: readFileSync(cert), key: readFileSync(key) }, readFileSync(authority.ca)];
  const tls = { current: { options: material }, follow: () => undefined, explain: String };
  const said: Attributes[] = [];
  const span = { ...noSpan, isRecording: true, setAttributes: (more: Attributes) => void said.push(more) };
  const tracer = { ...offTracer, isOn: true, startSpan: () => span };
  const routes = [route("/lamp", ({ exchange }) => sendJson(exchange, 200, "on"))];
  const [secure, plain] = [await open(routes, { tls, tracer }), await open(routes, { tracer })];
  expect(new URL(secure.host.url).protocol).toBe("https:");
  const answer = new Promise<string>((resolve, reject) => {
    const sent = get(`${secure.host.url}/lamp`, { ca, agent: false }, (response) => resolve(text(response)));
    sent.on("error", reject);
  });
  expect(await answer).toBe('"on"');
  expect(await (await fetch(`${plain.host.url}/lamp`)).text()).toBe('"on"');
  const schemes = said.flatMap((attributes) => attributes["url.scheme"] ?? []);
  expect(schemes).toEqual(["https", "http"]);
  await Promise.all([secure, plain].map(({ host }) => host.close(atOnce)));
});

test("whoever is refused for want of a key is seen with what was asked for", async () => {
  const operatorKeys = parseApiKeys("# nobody");
  const callers = createCallers({ apiKeys: undefined, operatorKeys: () => operatorKeys }, "operators");
  const { host, lines } = await open([route("/lamp", ({ exchange }) => sendJson(exchange, 200, "on"))], { callers });
  const refused = await fetch(`${host.url}/lamp?x=1`);
  expect([refused.status, refused.headers.get("www-authenticate")]).toEqual([401, "Bearer"]);
  expect(lines.find(({ message }) => message === "request without a known key refused")).toMatchObject({
    method: "GET",
    uri: "/lamp?x=1",
    remote: "127.0.0.1",
    request_id: refused.headers.get("request-id"),
  });
  await host.close(atOnce);
});

test("what a handler throws, now or later, is an answer; a fault of ours says no more than that", async () => {
  const { host, lines } = await open([
    route("/now", () => {
      throw new RuntimeError("not_found", "there is none");
    }),
    route("/later", async () => {
      await Promise.resolve();
      throw new Error("the secret of the house");
    }),
  ]);
  const now = await fetch(`${host.url}/now`);
  expect([now.status, await now.json()]).toEqual([404, { error: "there is none" }]);
  const later = await fetch(`${host.url}/later`);
  expect([later.status, await later.text()]).toEqual([500, expect.not.stringContaining("secret")]);
  expect(lines.filter(({ message }) => message === "request failed")).toHaveLength(1);
  await host.close(atOnce);
});

test("a host that closes ends what runs with its reason, and waits for the handler", async () => {
  let isOver = false;
  const { host, lines } = await open([
    route("/slow", async ({ exchange: { signal } }) => {
      await new Promise((resolve) => signal.addEventListener("abort", resolve, { once: true }));
      isOver = true;
      throw signal.reason;
    }),
  ]);
  const asked = fetch(`${host.url}/slow`);
  await eventually("the request", async () => (await fetch(`${host.url}/nothing`)).status === 404);
  const counts: unknown[] = [];
  await host.close({ ...atOnce, report: { count: (each) => counts.push(each), facts: () => undefined } });
  expect(isOver).toBe(true);
  expect([(await asked).status, counts]).toEqual([
    503,
    [
      { running: 1, cut: 0 },
      { running: 0, cut: 1 },
    ],
  ]);
  expect(lines.filter(({ message }) => message === "drain timed out, running requests are ended")).toHaveLength(1);
  await expect(fetch(host.url)).rejects.toThrow();
});

test("a port that is taken is an error that says how to choose another", async () => {
  const { host } = await open([]);
  const { port } = host;
  await expect(open([], { port })).rejects.toMatchObject({
    code: "unavailable",
    message: expect.stringMatching(
      new RegExp(`^cannot listen on http://127\\.0\\.0\\.1:${port}: .*; choose another port with --port or PORT$`),
    ) as string,
  });
  await host.close(atOnce);
});
