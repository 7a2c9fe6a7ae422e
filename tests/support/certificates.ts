/** Certificates for tests, in a directory that goes with the fixture. */
import { copyFileSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { generate } from "selfsigned";

export interface Pem {
  readonly cert: string;
  readonly key: string;
}

export interface Authority extends Disposable {
  readonly directory: string;
  /** Path of its certificate. */
  readonly ca: string;
  /** Paths of a certificate for 127.0.0.1 and for `name`, and of its key. */
  issue(name: string): Promise<Pem>;
}

const kind = { keyType: "ec", algorithm: "sha256" } as const;

/** Create an authority of one's own. */
export async function createAuthority(): Promise<Authority> {
  const directory = mkdtempSync(join(tmpdir(), "dyn-ca-"));
  const own = await generate([{ name: "commonName", value: "test authority" }], {
    ...kind,
    extensions: [
      { name: "basicConstraints", cA: true, critical: true },
      { name: "keyUsage", keyCertSign: true, cRLSign: true, critical: true },
    ],
  });
  const ca = join(directory, "ca.crt");
  writeFileSync(ca, `${own.cert}\n`); // so that two of them make a list
  return {
    directory,
    ca,
    async issue(name) {
      const [cert, key] = [join(directory, `${name}.crt`), join(directory, `${name}.key`)];
      const made = await generate([{ name: "commonName", value: name }], {
        ...kind,
        ca: { key: own.private, cert: own.cert },
        extensions: [
          { name: "basicConstraints", cA: false, critical: true },
          {
            name: "subjectAltName",
            altNames: [
              { type: 7, ip: "127.0.0.1" },
              { type: 2, value: name },
            ],
          },
        ],
      });
      writeFileSync(cert, made.cert);
      writeFileSync(key, made.private, { mode: 0o600 });
      return { cert, key };
    },
    [Symbol.dispose]: () => rmSync(directory, { recursive: true, force: true }),
  };
}

/** Put `next` where `current` is, as an operator would. */
export function replacePem(current: Pem, next: Pem): void {
  copyFileSync(next.cert, current.cert);
  copyFileSync(next.key, current.key);
}
