/** Requests that Node's parser takes and RFC 9112 has refused: two readers could see two different requests in them. */
import type { IncomingMessage } from "node:http";
import { RequestFault } from "./malformed.ts";

// May stand once. Of two, Node keeps the first; a proxy may have judged the other.
const single = ["host", "authorization", "content-type", "content-length", "transfer-encoding"];
const singleLengths: ReadonlySet<number> = new Set(single.map(({ length }) => length));
/** Characters of a header quoted in an answer. */
const maxShown = 128;
const versions = new Set(["1.0", "1.1"]);
const hostPattern = /^(?:\[[0-9A-Fa-f:.]{2,64}\]|[\w.~%!$&'()*+;=-]{0,255})(?::\d{0,5})?$/;
const absolutePattern = /^(https?):\/\/([^/?#]*)(.*)$/is;

/** The first fault of a request, if any, looking at its head alone. */
export function findFault(request: IncomingMessage, maxHeaders: number): RequestFault | undefined {
  const { rawHeaders, httpVersion, headers } = request;
  if (rawHeaders.length / 2 > maxHeaders)
    return new RequestFault(431, `the request has ${rawHeaders.length / 2} headers, the limit is ${maxHeaders}`);
  // Node says so of a request line without a version, and of one that names it, which no client of HTTP/0.9 did.
  if (httpVersion === "0.9")
    return new RequestFault(400, "the request line has no version, only HTTP/1.1 is spoken here");
  if (!versions.has(httpVersion)) return new RequestFault(505, `HTTP/${httpVersion} is not spoken here, only HTTP/1.1`);
  const repeated = findRepeated(rawHeaders);
  if (repeated !== undefined) return new RequestFault(400, `the header ${repeated} stands there more than once`);
  return (
    checkHost(httpVersion, headers.host) ??
    checkCoding(httpVersion, headers["transfer-encoding"]) ??
    checkTarget(request) ??
    checkExpectation(request)
  );
}

function findRepeated(rawHeaders: readonly string[]): string | undefined {
  let seen = 0; // a bit for each of them
  for (let index = 0; index < rawHeaders.length; index += 2) {
    const name = rawHeaders[index] ?? "";
    if (!singleLengths.has(name.length)) continue; // most are told by that
    const place = single.indexOf(name.toLowerCase());
    if (place < 0) continue;
    if (seen & (1 << place)) return single[place];
    seen |= 1 << place;
  }
  return undefined;
}

function checkHost(version: string, host: string | undefined): RequestFault | undefined {
  if (host === undefined)
    return version === "1.0" ? undefined : new RequestFault(400, "the Host header is missing, HTTP/1.1 requires it");
  return hostPattern.test(host) ? undefined : new RequestFault(400, "the Host header is not a host");
}

// Without chunks at the end nobody knows where the body ends; within them only chunks can be read here.
function checkCoding(version: string, coding: string | undefined): RequestFault | undefined {
  if (coding === undefined) return undefined;
  if (version === "1.0") return new RequestFault(400, "HTTP/1.0 has no Transfer-Encoding");
  const last = coding.slice(coding.lastIndexOf(",") + 1);
  if (last.trim().toLowerCase() !== "chunked")
    return new RequestFault(400, "the last Transfer-Encoding must be chunked");
  return last === coding ? undefined : new RequestFault(501, "no Transfer-Encoding but chunked is served");
}

function checkTarget({ method, url = "", headers }: IncomingMessage): RequestFault | undefined {
  if (url.startsWith("/")) return undefined;
  if (url === "*")
    return method === "OPTIONS" ? undefined : new RequestFault(400, `the path * is for OPTIONS, not for ${method}`);
  const [, scheme, authority] = absolutePattern.exec(url.toLowerCase()) ?? [];
  if (authority === undefined)
    return new RequestFault(400, "the request's target is neither a path nor an address with http:// or https://");
  if (authority === "" || !hostPattern.test(authority))
    return new RequestFault(400, "the request's target does not name a host");
  const withPort = (host: string): string =>
    /:\d+$/.test(host) ? host : `${host.replace(/:$/, "")}:${scheme === "http" ? 80 : 443}`;
  const host = headers.host?.toLowerCase();
  return host === undefined || withPort(host) === withPort(authority)
    ? undefined
    : new RequestFault(400, "the request's target names another host than the Host header");
}

// HTTP/1.0 has none. Node would answer by itself, out of turn and without a body.
function checkExpectation({ httpVersion, headers: { expect } }: IncomingMessage): RequestFault | undefined {
  if (expect === undefined || httpVersion === "1.0" || /^100-continue$/i.test(expect)) return undefined;
  return new RequestFault(
    417,
    `the expectation ${JSON.stringify(expect.slice(0, maxShown))} cannot be met, only "100-continue" can`,
  );
}

/** The host of a target that is a whole address, with its port. */
export function authorityOf(url: string): string | undefined {
  return url.startsWith("/") ? undefined : absolutePattern.exec(url)?.[2];
}

/** The path and query of a target that is a whole address; others as they are. */
export function toPath(url: string): string {
  if (url.startsWith("/")) return url;
  const rest = absolutePattern.exec(url)?.[3];
  if (rest === undefined) return url;
  return rest.startsWith("/") ? rest : `/${rest}`;
}
