/** What a route of an HTTP server is, and which one a request is for. */
import type { RuntimeError } from "../errors.ts";
import type { Audience } from "./callers.ts";
import type { Exchange, RouteKind } from "./exchange.ts";

export interface RouteInput {
  readonly exchange: Exchange;
  /** A Buffer, without its codings, if the route takes a body. */
  readonly body: unknown;
  /** What `*` in the path stood for. */
  readonly rest: string;
}

export interface RouteEntry {
  readonly method: "GET" | "POST" | "PUT" | "DELETE";
  /** Exact, or with one `*`: at its end that stands for anything, else for a part without `/`. */
  readonly path: string;
  readonly kind: RouteKind;
  /** As of `ExchangeRoute`. */
  readonly asksWorkers?: true;
  readonly audience: Audience;
  /** What its body is; undefined = it takes none, and none is read. */
  readonly takes?: "json" | "text";
  handle(input: RouteInput): void | Promise<void>;
  toErrorBody(error: RuntimeError, exchange: Exchange): unknown;
  /** Inference routes answer early failures themselves, with their pair of log lines. */
  refuse?(exchange: Exchange, error: RuntimeError): void;
}

/** What a request comes to. */
export type Match =
  | { readonly type: "route"; readonly route: RouteEntry; readonly rest: string }
  /** The path is served under these methods. */
  | { readonly type: "method"; readonly allowed: readonly string[] }
  | { readonly type: "path" }
  /** It is no percent-encoding. */
  | { readonly type: "unreadable" };

export interface RouteTable {
  readonly routes: readonly RouteEntry[];
  /** From now on. */
  add(route: RouteEntry): void;
  /** Letters count, one `/` at the end does not, nor does how a character is written; an encoded `/` divides nothing. */
  find(method: string, url: string): Match;
  /** True if the path, as it stands, is served under some method. */
  has(path: string): boolean;
}

/** Routes of one path, by method. Who may GET may ask for the headers alone. */
type Methods = Map<string, Match & { readonly type: "route" }>;

export function createRouteTable(given: readonly RouteEntry[]): RouteTable {
  const routes: RouteEntry[] = [];
  const exact = new Map<string, Methods>();
  const prefixes = new Map<string, Methods>();
  const inner = new Map<string, Methods>(); // `*` between two others
  const add = (route: RouteEntry): void => {
    routes.push(route);
    const star = route.path.indexOf("*");
    const isPrefix = star === route.path.length - 1;
    const paths = star < 0 ? exact : isPrefix ? prefixes : inner;
    const path = isPrefix ? route.path.slice(0, -1) : route.path;
    const methods: Methods = paths.get(path) ?? new Map();
    paths.set(path, methods);
    for (const method of methodsOf(route)) methods.set(method, { type: "route", route, rest: "" });
  };
  for (const route of given) add(route);
  const prefixOf = (path: string): string | undefined => {
    for (const prefix of prefixes.keys()) if (path.startsWith(prefix)) return prefix;
    return undefined;
  };
  const findInner = (method: string, path: string): Match | undefined => {
    for (const [pattern, methods] of inner) {
      const [before = "", after = ""] = pattern.split("*");
      const rest = path.slice(before.length, -after.length);
      if (!path.startsWith(before) || !path.endsWith(after) || rest === "" || rest.includes("/")) continue;
      const found = methods.get(method);
      return found ? { ...found, rest } : { type: "method", allowed: [...methods.keys()] };
    }
    return undefined;
  };
  return {
    routes,
    add,
    has: (path) => exact.has(path) || prefixOf(path) !== undefined,
    find(method, url) {
      const path = pathOf(url);
      const plain = path.includes("%") ? decodePath(path) : path;
      if (plain === undefined) return { type: "unreadable" };
      const known = exact.get(plain);
      if (known) return known.get(method) ?? { type: "method", allowed: [...known.keys()] };
      const between = inner.size > 0 ? findInner(method, plain) : undefined;
      if (between) return between;
      const prefix = prefixOf(plain);
      const methods = prefix === undefined ? undefined : prefixes.get(prefix);
      if (prefix === undefined || !methods) return { type: "path" };
      const found = methods.get(method);
      if (!found) return { type: "method", allowed: [...methods.keys()] };
      return { ...found, rest: path.includes("%") ? restOf(path, prefix) : path.slice(prefix.length) };
    },
  };
}

/** The methods of a route, HEAD among them. */
export function methodsOf({ method }: RouteEntry): readonly string[] {
  return method === "GET" ? ["GET", "HEAD"] : [method];
}

/** The path of a request's target, without the `/` at its end. */
export function pathOf(url: string): string {
  const end = url.search(/[?#]/);
  const path = end < 0 ? url : url.slice(0, end);
  return path.length > 1 && path.endsWith("/") ? path.slice(0, -1) : path;
}

// An encoded slash stays one.
function decodePath(path: string): string | undefined {
  try {
    return path
      .split("/")
      .map((part) => decodeURIComponent(part).replaceAll("/", "%2F"))
      .join("/");
  } catch {
    return undefined; // the platform says no more than that it is none
  }
}

function restOf(path: string, prefix: string): string {
  const parts = prefix.split("/").length - 1;
  return decodeURIComponent(path.split("/").slice(parts).join("/"));
}
