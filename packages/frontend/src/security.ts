/** The files behind HTTPS and API keys, followed while the frontend runs. */
import { openReloading, openTls, type Logger, type Reloading, type TlsMaterial } from "@dyn/runtime";
import { parseApiKeys, type ApiKeys } from "./http/api-keys.ts";

export interface HttpSecurity extends Disposable {
  /** Undefined = plain HTTP. */
  readonly tls: HttpTls | undefined;
  /** Undefined = nobody is asked for a key. */
  readonly apiKeys: (() => ApiKeys) | undefined;
}

/** Certificates for a server. */
export interface HttpTls {
  readonly current: TlsMaterial;
  /** Call `use` with those that come later. One caller. */
  follow(use: (material: TlsMaterial) => void): void;
}

/** Settings by their names in the frontend's options; "" = not set. */
export interface HttpSecuritySettings {
  readonly tlsCertPath: string;
  readonly tlsKeyPath: string;
  readonly apiKeysFile: string;
}

/** Read what is set. @throws RuntimeError `invalid_argument` if a file cannot be used. */
export async function openHttpSecurity({ tlsCertPath, tlsKeyPath, apiKeysFile }: HttpSecuritySettings, log: Logger): Promise<HttpSecurity> {
  let use: (material: TlsMaterial) => void = () => undefined;
  const tls = await openTls({
    what: "certificates of the HTTP server",
    paths: { cert: tlsCertPath, key: tlsKeyPath },
    minVersion: "TLSv1.2",
    log,
    onChange: (material) => use(material),
  });
  const keys = await openKeys(apiKeysFile, log).catch((error: unknown) => {
    tls?.[Symbol.dispose]();
    throw error;
  });
  return {
    tls: tls && { current: tls.current, follow: (next) => (use = next) },
    apiKeys: keys && (() => keys.current),
    [Symbol.dispose]() {
      tls?.[Symbol.dispose]();
      keys?.[Symbol.dispose]();
    },
  };
}

async function openKeys(path: string, log: Logger): Promise<Reloading<ApiKeys> | undefined> {
  if (path === "") return undefined;
  return openReloading({ what: "API keys", paths: [path], parse: ([bytes]) => parseApiKeys(String(bytes)), log });
}
