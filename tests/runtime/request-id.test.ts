// The request id that arrives over TCP is checked like the one that arrives over HTTP.
import { connect } from "node:net";
import { expect, test } from "vitest";
import { isUuid } from "../../packages/runtime/src/ids.ts";
import * as messages from "../../packages/runtime/src/wire/messages.ts";
import { eventually } from "../support/cluster.ts";
import { greeting, rawPeer, request, startPair, type Pair } from "./peers.ts";

async function ask(pair: Pair, headers: Readonly<Record<string, string>>): Promise<Record<string, unknown>> {
  using peer = rawPeer(connect(pair.port, "127.0.0.1"), false);
  peer.sendBytes(greeting());
  peer.send((writer) => messages.encodeRequest(writer, 1, { ...request, headers }));
  return await eventually("the request being over", () =>
    pair.lines.find(({ message }) => message === "request completed"),
  );
}

const text = "request-id header must be a valid UUID, got: ";

test.each([
  ["x status=200 request_id=forged", '"x status=200 request_id=forged"'],
  ["", ""],
  ["a\nb\u001b[31m", '"a\\nb\\u001b[31m"'],
  ["x".repeat(60_000), "x".repeat(128)],
])("%j, which is no UUID, is replaced with a warning", async (sent, shown) => {
  await using pair = await startPair();
  const completed = await ask(pair, { "request-id": sent });
  const warnings = pair.lines.filter(({ level }) => level === "WARN");
  expect(warnings).toHaveLength(1);
  expect(warnings[0]).toMatchObject({ target: "dyn_runtime::ingress::push_handler", message: `${text}${shown}` });
  expect(isUuid(String(completed["request_id"]))).toBe(true);
  expect(warnings[0]?.["request_id"]).toBe(completed["request_id"]);
  expect(pair.contexts[0]?.requestId).toBe(completed["request_id"]);
});

test.each([
  ["a UUID", { "request-id": "{0F4AC56E-5bd1-4657-bf8b-39cdcde9036b}" }],
  ["no id at all", {}],
])("%s gets none", async (_name, headers) => {
  await using pair = await startPair();
  const completed = await ask(pair, headers);
  expect(pair.lines.filter(({ level }) => level === "WARN")).toEqual([]);
  expect(isUuid(String(completed["request_id"]))).toBe(true);
});
