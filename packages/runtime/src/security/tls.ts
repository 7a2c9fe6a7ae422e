/** Certificates, and the TLS of both ends of the plane. */
import { X509Certificate } from "node:crypto";
import { createSecureContext, type SecureContext, type SecureContextOptions } from "node:tls";
import type { Logger } from "../logging/logger.ts";
import { openReloading, type Reloading } from "./reload.ts";

/** Where certificates are, PEM; "" = none. */
export interface TlsPaths {
  readonly cert: string;
  readonly key: string;
  /** Authorities of peers. */
  readonly ca?: string;
}

/** What the files hold. It has been tried: certificate and key belong together. */
export interface TlsMaterial {
  readonly options: SecureContextOptions;
  readonly context: SecureContext;
  readonly hasCertificate: boolean;
  readonly hasAuthority: boolean;
}

/** Of one listener, or of all that is dialled. */
export interface TlsOptions {
  /** For log lines and errors. */
  readonly what: string;
  readonly paths: TlsPaths;
  readonly minVersion: "TLSv1.2" | "TLSv1.3";
  readonly log: Logger;
  /** Called after each change of the files. */
  readonly onChange?: (material: TlsMaterial) => void;
}

/** Read certificates and follow their files; undefined if none are set.
 *  @throws RuntimeError `invalid_argument` if a file cannot be used, or only one of certificate and key is set. */
export async function openTls({
  what,
  paths,
  minVersion,
  log,
  onChange,
}: TlsOptions): Promise<Reloading<TlsMaterial> | undefined> {
  const named = [
    ["cert", paths.cert],
    ["key", paths.key],
    ["ca", paths.ca ?? ""],
  ] as const;
  const given = named.filter(([, path]) => path !== "");
  if (given.length === 0) return undefined;
  const parse = (contents: readonly Buffer[]): TlsMaterial =>
    toMaterial({ ...Object.fromEntries(given.map(([name], index) => [name, contents[index]])), minVersion });
  const secrets = given.flatMap(([name, path]) => (name === "key" ? [path] : []));
  return openReloading({
    what,
    paths: given.map(([, path]) => path),
    secrets,
    parse,
    log,
    ...(onChange && { onChange }),
  });
}

function toMaterial(options: SecureContextOptions): TlsMaterial {
  const { cert, key, ca } = options;
  if ((cert === undefined) !== (key === undefined))
    throw new Error("a certificate needs its key, and a key its certificate");
  try {
    for (const pem of [cert, ca]) if (pem instanceof Buffer) parseCertificate(pem);
    return {
      options,
      context: createSecureContext(options),
      hasCertificate: cert !== undefined,
      hasAuthority: ca !== undefined,
    };
  } catch (cause) {
    throw new Error(explainTlsError(cause as TlsFailure), { cause });
  }
}

/** An error of Node or OpenSSL about files or a handshake. */
export interface TlsFailure extends NodeJS.ErrnoException {
  /** OpenSSL's own words, without the place in its sources. */
  readonly reason?: string;
}

/** What OpenSSL leaves to guess. */
const explanations: ReadonlyMap<string | undefined, string> = new Map([
  ["ERR_OSSL_X509_KEY_VALUES_MISMATCH", "the key is not that of the certificate"],
  ["ERR_OSSL_PEM_NO_START_LINE", "a file is not PEM, or holds something else than a certificate or its key"],
  ["ERR_SSL_PEER_DID_NOT_RETURN_A_CERTIFICATE", "the caller shows no certificate, and --tcp-tls-ca asks for one"],
  [
    "ERR_SSL_TLSV13_ALERT_CERTIFICATE_REQUIRED",
    "the other side asks for a certificate: set --tcp-tls-cert and --tcp-tls-key",
  ],
  [
    "ERR_SSL_TLSV1_ALERT_UNKNOWN_CA",
    "the other side does not trust this certificate: it does not know the authority of it",
  ],
  ["ERR_SSL_SSLV3_ALERT_CERTIFICATE_UNKNOWN", "the other side does not accept this certificate"],
  ["ERR_SSL_SSLV3_ALERT_BAD_CERTIFICATE", "the other side does not accept this certificate"],
  ["ERR_SSL_SSLV3_ALERT_CERTIFICATE_EXPIRED", "the other side says that this certificate has expired"],
]);

/** The same in a sentence for whoever reads the log. */
export function explainTlsError({ code, message, reason }: TlsFailure): string {
  return explanations.get(code) ?? reason ?? message;
}

// OpenSSL takes a file without any certificate for an empty list.
function parseCertificate(pem: Buffer): X509Certificate {
  return new X509Certificate(pem);
}
