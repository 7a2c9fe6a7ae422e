/** Which address others are told to dial. */
import { networkInterfaces, type NetworkInterfaceInfo } from "node:os";
import { formatHostPort } from "../address.ts";
import { RuntimeError } from "../errors.ts";
import { toRuntimeError } from "../thrown.ts";

type Interfaces = Readonly<Record<string, readonly NetworkInterfaceInfo[] | undefined>>;

/** `host:port` of a listener, with the host that was asked for, if one was. */
export function toAdvertisedAddress(
  { host, port }: { readonly host: string; readonly port: number },
  asked: string,
): string {
  const advertised = asked === "" ? toAdvertisedHost(host) : asked;
  return formatHostPort(advertised, port);
}

/** The host that is listened on; for a wildcard, which nobody can dial, the first address of this machine that others may reach, else 127.0.0.1.
 *  @throws RuntimeError `unavailable` if the machine does not tell its addresses, as in some sandboxes: they are asked for only if they are needed. */
export function toAdvertisedHost(bound: string, interfaces: () => Interfaces = networkInterfaces): string {
  if (bound !== "0.0.0.0" && bound !== "::") return bound;
  const outside = Object.values(readInterfaces(interfaces)).flatMap((found = []) =>
    found.filter(({ internal }) => !internal),
  );
  const v4 = outside.find(({ family }) => family === "IPv4");
  const v6 = outside.find(({ family, address }) => family === "IPv6" && !/^fe80:/i.test(address)); // link-local addresses need a zone
  return v4?.address ?? (bound === "::" ? v6?.address : undefined) ?? "127.0.0.1";
}

function readInterfaces(interfaces: () => Interfaces): Interfaces {
  try {
    return interfaces();
  } catch (cause) {
    const advice = "say with --tcp-advertise-host or DYN_TCP_ADVERTISE_HOST which host others are to dial";
    throw new RuntimeError(
      "unavailable",
      `the addresses of this machine cannot be read: ${toRuntimeError(cause).message}; ${advice}`,
      { cause },
    );
  }
}
