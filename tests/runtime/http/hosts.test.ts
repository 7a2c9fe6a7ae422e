// For which hosts a server answers, and for which origins: what pages of the web reach by a name of theirs (DNS rebinding) is refused.
import { once } from "node:events";
import { createServer, type IncomingMessage } from "node:http";
import { describe, expect, test } from "vitest";
import { isLoopback } from "../../../packages/runtime/src/address.ts";
import { createHostGuard, parseHosts, type HostRules } from "../../../packages/runtime/src/http/hosts.ts";

const rules: HostRules = { allowed: [], setting: "--some-hosts", isOpen: true };

/** The status with which a request is refused; undefined if it is served. */
function refuse(
  own: Partial<HostRules>,
  headers: Readonly<Record<string, string>>,
  url = "/",
  address?: string,
): number | undefined {
  const guard = createHostGuard({ ...rules, ...own });
  const server = createServer();
  guard.watch(server);
  server.address = () => ({ address: address ?? "127.0.0.1", port: 80, family: "" });
  server.emit("listening");
  return guard.check({ headers, url } as unknown as IncomingMessage)?.status; // all it reads
}

describe("on loopback, where nobody is asked for a key", () => {
  test.each([
    ["localhost"],
    ["LocalHost:8000"],
    ["localhost."],
    ["localhost.:8000"],
    ["localhost:"],
    ["dyn.localhost:8000"],
    ["a.b.localhost"],
    ["127.0.0.1"],
    ["127.0.0.1:9000"],
    ["127.0.0.1.:9000"],
    ["10.1.2.3:8000"],
    ["203.0.113.7"],
    ["[::1]"],
    ["[::1]:8000"],
    ["[2001:DB8::7]:8000"],
    ["[::ffff:127.0.0.1]:8000"],
  ])("%s is served", (host) => {
    expect(refuse({}, { host })).toBeUndefined();
  });

  test.each([
    ["evil.example"],
    ["evil.example:8000"],
    ["EVIL.example."],
    ["127.0.0.1.evil.example"],
    ["localhost.evil.example:8000"],
    ["evillocalhost"],
    ["localhost.."],
    ["localhost.localdomain"],
    ["127.0.0.1%2eevil.example"],
    ["127.1"],
    ["2130706433"],
    ["0x7f000001"],
    ["127.0.0.1,evil.example"],
    ["[::1].evil.example"],
    ["frontend:8000"],
    ["host.docker.internal:8000"],
    [":8000"],
    [""],
    ["*"],
  ])("%j is a 421", (host) => {
    expect(refuse({}, { host })).toBe(421);
  });

  test("a probe of HTTP/1.0 without Host is served, and a target that names a host is judged by it", () => {
    expect(refuse({}, {})).toBeUndefined();
    expect(refuse({}, {}, "http://localhost:8000/health")).toBeUndefined();
    expect(refuse({}, {}, "http://EVIL.example/health")).toBe(421);
    expect(refuse({}, { host: "evil.example" }, "http://evil.example/health")).toBe(421);
  });

  test("the answer names the host, and what to set", () => {
    const guard = createHostGuard({ ...rules, setting: "--http-allowed-hosts (DYN_HTTP_ALLOWED_HOSTS)" });
    const fault = guard.check({ headers: { host: "Dyn.example:8000" }, url: "/" } as unknown as IncomingMessage);
    expect(fault).toMatchObject({
      code: "misdirected",
      status: 421,
      message:
        'the host "dyn.example:8000" is not served here: ask for localhost or an IP address, or add its name to --http-allowed-hosts (DYN_HTTP_ALLOWED_HOSTS)',
    });
  });
});

describe("names are looked at", () => {
  const evil = { host: "evil.example:8000" };
  test.each<[string, Partial<HostRules>, string, number | undefined]>([
    ["on loopback without keys", {}, "127.0.0.1", 421],
    ["on another loopback without keys", {}, "127.0.1.1", 421],
    ["on that of IPv6 without keys", {}, "::1", 421],
    ["on loopback with keys: not", { isOpen: false }, "127.0.0.1", undefined],
    ["on all addresses: not", {}, "0.0.0.0", undefined],
    ["on all of IPv6: not", {}, "::", undefined],
    ["on one of the network: not", {}, "192.0.2.7", undefined],
    ["with a list and keys", { allowed: ["dyn.example"], isOpen: false }, "127.0.0.1", 421],
    ["with a list, on all addresses", { allowed: ["dyn.example"] }, "0.0.0.0", 421],
    ["with * on the list: not", { allowed: ["*"] }, "127.0.0.1", undefined],
  ])("%s", (_name, own, address, status) => {
    expect(refuse(own, evil, "/", address)).toBe(status);
  });

  test("and those of the list are served, whatever their port and case", () => {
    const allowed = parseHosts("dyn.example,BÜCHER.example.");
    for (const host of ["dyn.example", "DYN.example.:9000", "xn--bcher-kva.example"])
      expect(refuse({ allowed }, { host })).toBeUndefined();
    for (const host of ["sub.dyn.example", "dyn.example.evil.example"]) expect(refuse({ allowed }, { host })).toBe(421);
  });

  test("before the server listens, too", () => {
    const guard = createHostGuard(rules);
    expect(guard.check({ headers: evil, url: "/" } as unknown as IncomingMessage)).toMatchObject({ status: 421 });
  });

  test("each for itself, whatever was asked for before", () => {
    const guard = createHostGuard(rules);
    const statusOf = (host?: string): number | undefined =>
      guard.check({ headers: host === undefined ? {} : { host }, url: "/" } as unknown as IncomingMessage)?.status;
    const asked = [evil.host, "localhost:8000", evil.host, undefined, "LOCALHOST:8000", evil.host];
    expect(asked.map(statusOf)).toEqual([421, undefined, 421, undefined, undefined, 421]);
  });

  test("as the system says where it listens", async () => {
    for (const [address, status] of [
      ["127.0.0.1", 421],
      ["0.0.0.0", undefined],
    ] as const) {
      const guard = createHostGuard(rules);
      const server = createServer();
      guard.watch(server);
      await once(server.listen(0, address), "listening");
      expect(guard.check({ headers: evil, url: "/" } as unknown as IncomingMessage)?.status).toBe(status);
      server.close();
    }
  });
});

describe("a server for its own pages only", () => {
  const own: Partial<HostRules> = { isForOwnPages: true };
  test.each([
    ["127.0.0.1:9090", "http://127.0.0.1:9090"],
    ["localhost:9090", "http://localhost:9090"],
    ["LOCALHOST:9090", "http://localhost:9090"],
    ["[::1]:9090", "http://[::1]:9090"],
    ["127.0.0.1", "http://127.0.0.1"],
  ])("at %s takes the origin %s", (host, origin) => {
    expect(refuse(own, { host, origin })).toBeUndefined();
    expect(refuse({}, { host, origin: "https://chat.example" })).toBeUndefined(); // the frontend's are for CORS
  });

  test.each([
    ["127.0.0.1:9090", "http://evil.example"],
    ["127.0.0.1:9090", "http://localhost:9090"],
    ["127.0.0.1:9090", "http://127.0.0.1:3000"],
    ["127.0.0.1:9090", "https://127.0.0.1:9090"],
    ["127.0.0.1:9090", "null"],
    ["127.0.0.1:9090", ""],
    ["127.0.0.1:9090", "http://127.0.0.1:9090, http://evil.example"],
  ])("at %s refuses the origin %j with 403", (host, origin) => {
    expect(refuse(own, { host, origin })).toBe(403);
  });

  test("on all addresses takes an origin only by an address or a name of its list: any name can lead there", () => {
    const same = (name: string): Readonly<Record<string, string>> => ({
      host: `${name}:9090`,
      origin: `http://${name}:9090`,
    });
    expect(refuse(own, { host: "worker-1:9090" }, "/", "0.0.0.0")).toBeUndefined(); // no page
    expect(refuse(own, same("192.0.2.7"), "/", "0.0.0.0")).toBeUndefined();
    expect(refuse(own, same("worker-1"), "/", "0.0.0.0")).toBe(403);
    expect(refuse({ ...own, allowed: ["worker-1"] }, same("worker-1"), "/", "0.0.0.0")).toBeUndefined();
  });

  test("takes no origin from who names no host", () => {
    expect(refuse(own, { origin: "http://undefined" })).toBe(403);
  });
});

test.each([
  ["127.0.0.1", true],
  ["127.255.3.4", true],
  ["::1", true],
  ["::ffff:127.0.0.1", true],
  ["0.0.0.0", false],
  ["::", false],
  ["10.127.0.0", false],
  ["128.0.0.1", false],
  ["::ffff:10.0.0.1", false],
])("%s is loopback: %s", (address, expected) => {
  expect(isLoopback(address)).toBe(expected);
});

describe("lists of hosts", () => {
  test.each([
    ["", []],
    ["*", ["*"]],
    [" Dyn.example , frontend.ns.svc.cluster.local.,", ["dyn.example", "frontend.ns.svc.cluster.local"]],
    ["bücher.example", ["xn--bcher-kva.example"]],
    ["my_service,127.0.0.1,::1", ["my_service", "127.0.0.1", "::1"]],
  ])("%j are read as browsers write them", (text, hosts) => {
    expect(parseHosts(text)).toEqual(hosts);
    expect(parseHosts(hosts.join(","))).toEqual(hosts);
  });

  test.each([
    "dyn.example:8000",
    "http://dyn.example",
    "dyn.example/path",
    "user@dyn.example",
    "*.example",
    "a b",
    "a\nb",
    "[::1]:80",
    "a%2eb",
    ".",
  ])("%j is refused", (text) => {
    expect(() => parseHosts(text)).toThrow(
      `expected * or names of hosts such as dyn.example, without ports, separated by commas; ${JSON.stringify(text)} is none`,
    );
  });
});
