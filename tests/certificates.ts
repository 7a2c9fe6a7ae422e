/** Certificates for tests, made by openssl into a directory that goes with the fixture. */
import { execFileSync } from "node:child_process";
import { copyFileSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

export interface Pem {
  readonly cert: string;
  readonly key: string;
}

export interface Authority extends Disposable {
  readonly directory: string;
  /** Path of its certificate. */
  readonly ca: string;
  /** A certificate for 127.0.0.1, and for `name`. */
  issue(name: string): Pem;
}

const created = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "2"];

function openssl(...args: string[]): void {
  execFileSync("openssl", args, { stdio: ["ignore", "ignore", "pipe"] });
}

/** Create an authority of one's own. */
export function createAuthority(): Authority {
  const directory = mkdtempSync(join(tmpdir(), "dyn-ca-"));
  const ca = join(directory, "ca.crt");
  const caKey = join(directory, "ca.key");
  openssl("req", "-x509", ...created, "-keyout", caKey, "-out", ca, "-subj", "/CN=test authority");
  return {
    directory,
    ca,
    issue(name) {
      const [cert, key] = [join(directory, `${name}.crt`), join(directory, `${name}.key`)];
      const subject = ["-subj", `/CN=${name}`, "-addext", `subjectAltName=IP:127.0.0.1,DNS:${name}`, "-addext", "basicConstraints=critical,CA:FALSE"];
      openssl("req", "-x509", ...created, "-CA", ca, "-CAkey", caKey, "-keyout", key, "-out", cert, ...subject);
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
