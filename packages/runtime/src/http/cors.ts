/** Which web pages may ask, and read the answers, from a browser. https://fetch.spec.whatwg.org/#http-cors-protocol */
import type { IncomingMessage } from "node:http";
import type { Reply } from "./reply.ts";

export interface Cors {
  /** For every answer to the request. */
  headersOf(request: IncomingMessage): Readonly<Record<string, string>>;
  /** True if a browser asks whether a page may send another request. It carries no key. */
  isPreflight(request: IncomingMessage): boolean;
  /** A page that may not is told nothing, and its browser sends no more. */
  answerPreflight(reply: Reply & { readonly request: IncomingMessage }): void;
}

/** What pages may read beside the few headers that every page may. */
const exposed = "request-id, x-request-id, retry-after, x-should-retry";
/** How long a browser may remember the answer, s: the most that Chrome does. */
const maxAgeSecs = 7_200;
const originPattern = /^([a-z][a-z\d+.-]*):\/\/[^\s/?#@,*]+\/?$/i;
const namesPattern = /^[\w!#$%&'*+.^`|~, \t-]+$/;

/** `*`, or origins separated by commas, as browsers write them. @throws Error that says what was expected. */
export function parseOrigins(text: string): readonly string[] {
  return text.split(",").flatMap((origin) => (origin.trim() === "" ? [] : toOrigin(origin.trim())));
}

function toOrigin(text: string): string {
  if (text === "*") return text;
  const scheme = originPattern.exec(text)?.[1]?.toLowerCase();
  if (scheme === undefined || !URL.canParse(text))
    throw new Error(
      `expected * or origins such as https://chat.example:8443, separated by commas; ${JSON.stringify(text)} is none`,
    );
  // Other schemes, such as that of an extension, have no origin for the platform.
  return scheme === "http" || scheme === "https" ? new URL(text).origin : text.replace(/\/$/, "").toLowerCase();
}

/** @returns undefined if there are no origins: no answer then says a word of this. */
export function createCors(origins: readonly string[], methods: readonly string[]): Cors | undefined {
  if (origins.length === 0) return undefined;
  const allowed = new Set(origins);
  const isOpen = allowed.has("*");
  const others = isOpen ? {} : { vary: "origin" }; // caches must not show a page the answer to another
  const headersOf = ({ headers: { origin } }: IncomingMessage): Readonly<Record<string, string>> => {
    if (origin === undefined || !(isOpen || allowed.has(origin))) return others;
    return {
      "access-control-allow-origin": isOpen ? "*" : origin,
      "access-control-expose-headers": exposed,
      ...others,
    };
  };
  return {
    headersOf,
    isPreflight: ({ method, headers }) =>
      method === "OPTIONS" && headers.origin !== undefined && headers["access-control-request-method"] !== undefined,
    answerPreflight({ request, response, commonHeaders }) {
      const names = request.headers["access-control-request-headers"];
      const isAllowed = commonHeaders["access-control-allow-origin"] !== undefined;
      const permission = {
        "access-control-allow-methods": methods.join(", "),
        "access-control-max-age": String(maxAgeSecs),
        ...(names !== undefined && namesPattern.test(names) && { "access-control-allow-headers": names }),
      };
      response.writeHead(204, { ...commonHeaders, ...(isAllowed && permission) }).end();
    },
  };
}
