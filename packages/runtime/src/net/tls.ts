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
export async function openTls({ what, paths, minVersion, log, onChange }: TlsOptions): Promise<Reloading<TlsMaterial> | undefined> {
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
  return openReloading({ what, paths: given.map(([, path]) => path), secrets, parse, log, ...(onChange && { onChange }) });
}

function toMaterial(options: SecureContextOptions): TlsMaterial {
  const { cert, key, ca } = options;
  if ((cert === undefined) !== (key === undefined)) throw new Error("a certificate needs its key, and a key its certificate");
  for (const pem of [cert, ca]) if (pem instanceof Buffer) parseCertificate(pem);
  return { options, context: createSecureContext(options), hasCertificate: cert !== undefined, hasAuthority: ca !== undefined };
}

// OpenSSL takes a file without any certificate for an empty list.
function parseCertificate(pem: Buffer): X509Certificate {
  return new X509Certificate(pem);
}
