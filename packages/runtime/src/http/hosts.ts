/** For which hosts an HTTP server answers. The owner of a name can have it lead to this machine (DNS rebinding): a browser then takes this server for
 *  the page's own, and shows the page all that it says. The name is still there, in Host and Origin. */
import type { IncomingMessage, Server } from "node:http";
import { isIP, type AddressInfo } from "node:net";
import { domainToASCII } from "node:url";
import { isLoopback } from "../address.ts";
import { authorityOf } from "./faults.ts";
import { RequestFault } from "./malformed.ts";

export interface HostRules {
  /** Names that are served, as `parseHosts` reads them; `*` is all. If there are any, others are refused wherever the server listens. */
  readonly allowed: readonly string[];
  /** What sets them, for answers. */
  readonly setting: string;
  /** Nobody is asked for a key. Other names are then refused on loopback, too, even if none is allowed. */
  readonly isOpen: boolean;
  /** Refuse what pages of other origins send. Default false. */
  readonly isForOwnPages?: boolean;
}

export interface HostGuard {
  /** Why a request without a fault is not answered: 421 for its host, 403 for its origin. */
  check(request: IncomingMessage): RequestFault | undefined;
  /** Look where this server listens, once it does. */
  watch(server: Server): void;
}

const maxShown = 256;

/** Names separated by commas, or `*`; as browsers write them. @throws Error that says what was expected. */
export function parseHosts(text: string): readonly string[] {
  return text.split(",").flatMap((host) => (host.trim() === "" ? [] : toAllowed(host.trim())));
}

function toAllowed(text: string): string {
  if (text === "*" || isIP(text) > 0) return text;
  // It would take line ends out, and read an address as far as its host goes.
  const name = /[\s\p{Cc}/\\?#@%]/u.test(text) ? "" : domainToASCII(text).replace(/\.$/, "");
  if (!/^[\w.-]{1,253}$/.test(name))
    throw new Error(
      `expected * or names of hosts such as dyn.example, without ports, separated by commas; ${JSON.stringify(text)} is none`,
    );
  return name;
}

/** Create one for the servers of one address. */
export function createHostGuard({ allowed, setting, isOpen, isForOwnPages = false }: HostRules): HostGuard {
  const names = new Set(allowed);
  const isServed = (name: string): boolean =>
    isIP(name) > 0 || name === "localhost" || name.endsWith(".localhost") || names.has(name) || names.has("*");
  let isOnLoopback = true;
  let latest: string | undefined; // that was served: most requests come for the same host, and to read its name took 1 % of all they cost
  return {
    check(request) {
      const host = hostOf(request)?.toLowerCase();
      const isKnown = host !== undefined && (host === latest || isServed(toName(host)));
      if (isKnown) latest = host;
      // A probe of HTTP/1.0 may have no Host, a browser always has.
      if (host !== undefined && !isKnown && (names.size > 0 || (isOpen && isOnLoopback)))
        return new RequestFault(
          421,
          `the host ${quote(host)} is not served here: ask for localhost or an IP address, or add its name to ${setting}`,
        );
      const { origin } = request.headers;
      if (!isForOwnPages || origin === undefined || (isKnown && origin === `http://${host}`)) return undefined;
      const own = `an IP address, localhost or a name in ${setting}`;
      return new RequestFault(
        403,
        `pages of ${quote(origin)} may not ask here: only this server's own may, asked for by ${own}`,
      );
    },
    watch(server) {
      server.once("listening", () => {
        const { address } = server.address() as AddressInfo; // a TCP server that listens
        isOnLoopback &&= isLoopback(address);
      });
    },
  };
}

// That of a target that is a whole address is the same, or the only one.
function hostOf({ headers: { host }, url = "" }: IncomingMessage): string | undefined {
  return host ?? authorityOf(url);
}

// Without port, brackets and the dot that ends a name.
function toName(host: string): string {
  return host
    .replace(/:\d*$/, "")
    .replace(/^\[(.*)\]$/, "$1")
    .replace(/\.$/, "");
}

function quote(text: string): string {
  return JSON.stringify(text.slice(0, maxShown));
}
