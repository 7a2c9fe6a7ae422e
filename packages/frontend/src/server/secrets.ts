/** The files behind HTTPS and keys, followed while the frontend runs. */
import {
  type ApiKeys,
  type CallerKeys,
  explainTlsError,
  type HttpTls,
  openApiKeys,
  openTls,
  type TlsMaterial,
  type Logger,
} from "@dyn/runtime/internal";

export interface HttpSecurity extends Disposable {
  /** Undefined = plain HTTP. */
  readonly tls: HttpTls | undefined;
  readonly keys: CallerKeys;
}

/** Settings by their names in the frontend's options; "" = not set. */
export interface HttpSecuritySettings {
  readonly tlsCertPath: string;
  readonly tlsKeyPath: string;
  readonly apiKeysFile: string;
  readonly operatorKeysFile: string;
}

/** Read what is set. @throws RuntimeError `invalid_argument` if a file cannot be used. */
export async function openHttpSecurity(settings: HttpSecuritySettings, log: Logger): Promise<HttpSecurity> {
  const owned: Disposable[] = [];
  const release = (): void => {
    for (const each of owned) each[Symbol.dispose]();
  };
  const openKeys = async (what: string, path: string): Promise<(() => ApiKeys) | undefined> => {
    const keys = await openApiKeys(what, path, log);
    if (!keys) return undefined;
    owned.push(keys);
    return () => keys.current;
  };
  try {
    const tls = await openHttpTls(settings, log, owned);
    const apiKeys = await openKeys("API keys", settings.apiKeysFile);
    const operatorKeys = await openKeys("operators' keys", settings.operatorKeysFile);
    return { tls, keys: { apiKeys, operatorKeys }, [Symbol.dispose]: release };
  } catch (error) {
    release();
    throw error;
  }
}

async function openHttpTls(
  { tlsCertPath, tlsKeyPath }: HttpSecuritySettings,
  log: Logger,
  owned: Disposable[],
): Promise<HttpTls | undefined> {
  const users: ((material: TlsMaterial) => void)[] = [];
  const tls = await openTls({
    what: "certificates of the HTTP server",
    paths: { cert: tlsCertPath, key: tlsKeyPath },
    minVersion: "TLSv1.2",
    log,
    onChange: (material) => users.forEach((use) => use(material)),
  });
  if (!tls) return undefined;
  owned.push(tls);
  return {
    get current() {
      return tls.current;
    },
    follow: (use) => void users.push(use),
    explain: explainTlsError,
  };
}
