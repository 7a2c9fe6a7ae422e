// The certificates of a frontend, between the moment they are read and the moment its server listens.
import { readFileSync } from "node:fs";
import { test } from "vitest";
import { openHttpSecurity } from "../../packages/frontend/src/server/secrets.ts";
import { createLogger } from "../support/logger.ts";
import { createAuthority, replacePem } from "../support/certificates.ts";
import { eventually } from "../support/cluster.ts";

test("certificates that change before there is a server are those it begins with", async () => {
  using authority = await createAuthority();
  const [pem, next] = [await authority.issue("first"), await authority.issue("second")];
  const settings = { tlsCertPath: pem.cert, tlsKeyPath: pem.key, apiKeysFile: "", operatorKeysFile: "" };
  using security = await openHttpSecurity(settings, createLogger({ sink: () => undefined }));
  replacePem(pem, next);
  const isNext = (): boolean => String(security.tls?.current.options.cert) === readFileSync(next.cert, "utf8");
  await eventually("the second certificate", isNext);
});
