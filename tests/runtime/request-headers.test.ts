// Headers that a caller gives go to the handler, within limits, and no further by themselves.
import { describe, expect, test } from "vitest";
import type { CallOptions, RequestHeaders } from "../../packages/runtime/src/index.ts";
import { forwardedOf } from "../../packages/runtime/src/trace/request-headers.ts";
import { failureOf } from "./peers.ts";
import { startServices } from "./services.ts";

describe("headers of a call", () => {
  test("are in the handler's context, by their names in lower case", async () => {
    await using services = await startServices((toInner) =>
      toInner.call({}, { headers: { "X-Tenant": "acme", "accept-language": "de, en;q=0.5", "x-empty": "" } }),
    );
    await services.client.call({});
    expect(services.seen[0]?.context.headers).toEqual({
      "x-tenant": "acme",
      "accept-language": "de, en;q=0.5",
      "x-empty": "",
    });
  });

  test("go no further unless they are handed on", async () => {
    await using services = await startServices(async (toInner, { headers }) => {
      await toInner.call({});
      await toInner.call({}, { headers });
      return null;
    });
    await services.client.call({}, { headers: { "x-tenant": "acme" } });
    expect(services.seen.map(({ context }) => context.headers)).toEqual([{}, { "x-tenant": "acme" }]);
  });

  test.each<[string, unknown, string]>([
    ["no name", { "x tenant": "a" }, '"x tenant" is no name of a header'],
    ["a name too long", { ["x".repeat(65)]: "a" }, "is no name of a header"],
    ["two lines", { "x-tenant": "a\r\nx-other: b" }, "the header x-tenant must be a text of one line"],
    ["no text", { "x-tenant": 1 }, "the header x-tenant must be a text of one line"],
    [
      "too many",
      Object.fromEntries(Array.from({ length: 33 }, (_, index) => [`x-${index}`, ""])),
      "33 headers, limit 32",
    ],
    ["too much", { "x-tenant": "a".repeat(8_192) }, "headers of 8200 bytes, limit 8192"],
    ["no object", "x-tenant: a", "headers must be a plain object of texts"],
    ["those of fetch", new Headers({ "x-tenant": "a" }), "Object.fromEntries(…) makes it of `Headers`"],
    ["a map", new Map([["x-tenant", "a"]]), "headers must be a plain object of texts"],
    ["a list", [["x-tenant", "a"]], "headers must be a plain object of texts"],
  ])("are refused: %s", async (_what, headers, message) => {
    await using services = await startServices(async () => null);
    const options: CallOptions = { headers: headers as RequestHeaders };
    const failure = await failureOf(services.client.call({}, options));
    expect(failure.code).toBe("invalid_argument");
    expect(failure.message).toContain(message);
  });
});

describe("headers of a REQUEST that may come from anybody", () => {
  const many = Object.fromEntries(Array.from({ length: 1_000 }, (_, index) => [`header-x-${index}`, "a"]));
  test("are kept up to the limits", () => {
    expect(Object.keys(forwardedOf(many))).toHaveLength(32);
    const long = { "header-x-a": "a".repeat(8_000), "header-x-b": "b".repeat(8_000), "header-x-c": "c" };
    expect(Object.keys(forwardedOf(long))).toEqual(["x-a"]);
  });

  test("are left out where they are none", () => {
    const plane = {
      "header-": "a",
      "header-X-Upper": "a",
      "header-x-lines": "a\nb",
      "header-x-good": "a",
      traceparent: "",
    };
    expect(forwardedOf(plane)).toEqual({ "x-good": "a" });
  });

  test("may have the name of a prototype", () => {
    const headers = forwardedOf({ "header-__proto__": "a" });
    expect(Object.entries(headers)).toEqual([["__proto__", "a"]]);
  });
});
