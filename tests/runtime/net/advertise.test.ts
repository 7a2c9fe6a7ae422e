// Which address a worker tells others to dial.
import type { NetworkInterfaceInfo } from "node:os";
import { expect, test } from "vitest";
import { createRuntime } from "../../../packages/runtime/src/index.ts";
import { toAdvertisedHost } from "../../../packages/runtime/src/net/advertise.ts";
import { address, config } from "../peers.ts";

function card(address: string, family: "IPv4" | "IPv6", internal = false): NetworkInterfaceInfo {
  const shared = { address, netmask: "", mac: "", internal, cidr: null };
  return family === "IPv4" ? { ...shared, family } : { ...shared, family, scopeid: 0 };
}

const lo = [card("127.0.0.1", "IPv4", true), card("::1", "IPv6", true)];
const eth0 = [card("fe80::1", "IPv6"), card("2001:db8::7", "IPv6"), card("192.0.2.7", "IPv4")];
const v6 = eth0.slice(0, 2);

test.each([
  ["127.0.0.1", { lo, eth0 }, "127.0.0.1"],
  ["2001:db8::7", { lo, eth0 }, "2001:db8::7"],
  ["0.0.0.0", { lo, eth0 }, "192.0.2.7"],
  ["0.0.0.0", { lo, eth0: v6 }, "127.0.0.1"],
  ["0.0.0.0", {}, "127.0.0.1"],
  ["::", { lo, eth0 }, "192.0.2.7"],
  ["::", { lo, eth0: v6 }, "2001:db8::7"],
  ["::", { lo, eth0: [card("fe80::1", "IPv6")] }, "127.0.0.1"],
])("who listens on %s with %j is dialled at %s", (bound, interfaces, expected) => {
  expect(toAdvertisedHost(bound, () => interfaces)).toBe(expected);
});

test("a machine that does not tell its addresses is asked only for those of a wildcard", () => {
  const refuse = (): never => {
    throw new Error("Permission denied");
  };
  expect(toAdvertisedHost("127.0.0.1", refuse)).toBe("127.0.0.1");
  expect(() => toAdvertisedHost("0.0.0.0", refuse)).toThrow(
    /cannot be read: Permission denied; say with --tcp-advertise-host/,
  );
});

test.each([
  [{ tcpHost: "0.0.0.0" }, /^(?!0\.0\.0\.0)[\d.]+:\d+$/],
  [{ tcpHost: "0.0.0.0", tcpAdvertiseHost: "worker-1.example" }, /^worker-1\.example:\d+$/],
  [{ tcpAdvertiseHost: "2001:db8::9" }, /^\[2001:db8::9\]:\d+$/],
])("with %j the record says so", async (more, expected) => {
  await using runtime = await createRuntime({ config: { ...config, ...more, log: "off" } });
  const serving = await runtime.endpoint(address).serve(async function* () {});
  expect(serving.address).toMatch(expected);
  let shown = "";
  using _watch = runtime.discovery.watch("v1/instances", (changes) => {
    for (const { record } of changes) if (record?.type === "Endpoint") shown = record.transport.tcp;
  });
  expect(shown.startsWith(`${serving.address}/`)).toBe(true);
});

test("a host to advertise that no record can carry is refused", async () => {
  for (const host of ["a b", "a/b", "[worker]", "worker:80"]) {
    const environment = { DYN_TCP_ADVERTISE_HOST: host };
    await expect(createRuntime({ environment })).rejects.toThrow(
      `DYN_TCP_ADVERTISE_HOST="${host}": expected a host name or an address`,
    );
  }
});
