/** What protects a process: the shared token of the plane, certificates, keys. Files, followed while it runs. */
import { RuntimeError } from "../errors.ts";
import { parseApiKeys, type ApiKeys } from "../http/api-keys.ts";
import type { Logger } from "../logging/logger.ts";
import { parseTokens, type Tokens } from "./auth.ts";
import { openReloading, type Reloading } from "./reload.ts";
import { openTls, type TlsMaterial } from "./tls.ts";

/** What a process shows to its peers and asks of them. Files are followed: ask `current` for each connection. */
export interface PlaneSecurity {
  /** Undefined = nobody is asked for one. */
  readonly tokens: Reloading<Tokens> | undefined;
  readonly tls: Reloading<TlsMaterial> | undefined;
  /** Certificates for a listener; undefined = it speaks no TLS. */
  readonly listenerTls: (() => TlsMaterial) | undefined;
  /** The flag for which nothing is dialled without TLS; undefined = it is dialled as its record says. */
  readonly tlsDemandedBy: "--tcp-tls-ca" | "--tcp-tls-required" | undefined;
  /** Name that listeners' certificates must have; "" = the host that is dialled. */
  readonly serverName: string;
}

/** Settings by their names in the runtime's configuration; "" = not set. */
export interface PlaneSecuritySettings {
  readonly planeToken: string;
  readonly planeTokenFile: string;
  readonly tcpTlsCert: string;
  readonly tcpTlsKey: string;
  readonly tcpTlsCa: string;
  readonly tcpTlsRequired: boolean;
  readonly tcpTlsServerName: string;
}

/** Read what is set, and follow the files. @throws RuntimeError `invalid_argument` if one cannot be used. */
export async function openPlaneSecurity(
  settings: PlaneSecuritySettings,
  log: Logger,
): Promise<PlaneSecurity & Disposable> {
  const {
    planeToken,
    planeTokenFile,
    tcpTlsCert: cert,
    tcpTlsKey: key,
    tcpTlsCa: ca,
    tcpTlsRequired,
    tcpTlsServerName: serverName,
  } = settings;
  const tls = await openTls({
    what: "certificates of the plane",
    paths: { cert, key, ca },
    minVersion: "TLSv1.3",
    log,
  });
  const tokens = await openTokens(planeToken, planeTokenFile, log).catch((error: unknown) => {
    tls?.[Symbol.dispose]();
    throw error;
  });
  return {
    tokens,
    tls,
    listenerTls: tls?.current.hasCertificate ? () => tls.current : undefined,
    tlsDemandedBy: tcpTlsRequired ? "--tcp-tls-required" : ca === "" ? undefined : "--tcp-tls-ca",
    serverName,
    [Symbol.dispose]() {
      tokens?.[Symbol.dispose]();
      tls?.[Symbol.dispose]();
    },
  };
}

/** True if callers of a listener need the token, or a certificate. */
export function asksCallers({ tokens, tls }: Pick<PlaneSecurity, "tokens" | "tls">): boolean {
  return tokens !== undefined || (tls !== undefined && tls.current.hasCertificate && tls.current.hasAuthority);
}

/** Certificates for a listener; undefined = it speaks no TLS. @throws RuntimeError `invalid_argument` if TLS is asked for and it has none. */
export function requireListenerTls({ listenerTls, tlsDemandedBy }: PlaneSecurity): PlaneSecurity["listenerTls"] {
  if (listenerTls || tlsDemandedBy === undefined) return listenerTls;
  const advice = "set --tcp-tls-cert and --tcp-tls-key";
  throw new RuntimeError(
    "invalid_argument",
    `${tlsDemandedBy} asks for TLS, and this process has no certificate to serve with: ${advice}`,
  );
}

// The file wins: it can be changed while the process runs.
async function openTokens(planeToken: string, path: string, log: Logger): Promise<Reloading<Tokens> | undefined> {
  if (path !== "")
    return openReloading({
      what: "plane tokens",
      paths: [path],
      secrets: [path],
      parse: ([bytes]) => parseTokens(String(bytes)),
      log,
    });
  return planeToken === "" ? undefined : { current: parseVariable(planeToken), [Symbol.dispose]: () => undefined };
}

function parseVariable(planeToken: string): Tokens {
  try {
    return parseTokens(planeToken);
  } catch (cause) {
    throw new RuntimeError("invalid_argument", `DYN_PLANE_TOKEN: ${(cause as Error).message}`, { cause });
  }
}

/** The keys in a file; undefined if none is set. `what` names them in log lines and errors. @throws RuntimeError `invalid_argument` if it cannot be used. */
export async function openApiKeys(what: string, path: string, log: Logger): Promise<Reloading<ApiKeys> | undefined> {
  if (path === "") return undefined;
  const warnOfNone = (keys: ApiKeys): void => {
    if (keys.isEmpty) log.warn({ path }, `${what}: the file holds none, nobody is let in`);
  };
  const parse = ([bytes]: readonly Buffer[]): ApiKeys => parseApiKeys(String(bytes));
  const keys = await openReloading({ what, paths: [path], secrets: [path], parse, log, onChange: warnOfNone });
  warnOfNone(keys.current);
  return keys;
}
