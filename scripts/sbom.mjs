// What each package needs, as CycloneDX: https://cyclonedx.org/docs/1.6/json/. The same bytes for the same lock file, whoever makes them, wherever and when.
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { listOrExit } from "./bootstrap.mjs";

/** Write one file per package to `folder`; on failure print why, and exit. */
export async function writeSbomsOrExit(folder) {
  const drafts = mkdtempSync(join(tmpdir(), "dyn-sbom-"));
  process.once("exit", () => rmSync(drafts, { recursive: true, force: true })); // also where listing them ends the process
  const [locked, installed] = [join(drafts, "locked"), join(drafts, "installed")];
  for (const draft of [locked, installed]) mkdirSync(draft);
  await listOrExit(locked, { isInstalled: false });
  await listOrExit(installed, { isInstalled: true });
  const read = (draft, name) => JSON.parse(readFileSync(join(draft, name), "utf8"));
  for (const name of readdirSync(locked))
    writeFileSync(
      join(folder, name),
      `${JSON.stringify(toSbom(read(locked, name), read(installed, name)), null, 2)}\n`,
    );
}

const compare = (left, right) => (left < right ? -1 : 1);

// Left out are the time, a random number, and addresses: where a package comes from is for those to say who install it. What it is, its hash says.
function toSbom(locked, installed) {
  const { $schema, bomFormat, specVersion, version, metadata } = locked;
  const dependencies = locked.dependencies.map(({ ref, dependsOn = [] }) => ({
    ref,
    dependsOn: dependsOn.toSorted(compare),
  }));
  const licenses = licensesOf(installed.components, dependencies);
  const components = locked.components.map((component) => toComponent(component, licenses));
  components.sort((left, right) => compare(left["bom-ref"], right["bom-ref"]));
  dependencies.sort((left, right) => compare(left.ref, right.ref));
  const { lifecycles, tools, component } = metadata;
  return {
    $schema,
    bomFormat,
    specVersion,
    version,
    metadata: { lifecycles, tools, component },
    components,
    dependencies,
  };
}

// Native parts are installed on their own platform only; they have the licence of the package they are a part of.
function licensesOf(components, dependencies) {
  const known = new Map(components.map((component) => [component["bom-ref"], component.licenses]));
  for (const { ref, dependsOn } of dependencies)
    for (const part of dependsOn) if (!known.has(part)) known.set(part, known.get(ref));
  return known;
}

function toComponent({ type, group, name, version, purl, "bom-ref": ref, externalReferences = [] }, licenses) {
  const hashes = externalReferences.flatMap(({ hashes = [] }) => hashes);
  return {
    type,
    "bom-ref": ref,
    group,
    name,
    version,
    ...(hashes.length > 0 && { hashes }),
    licenses: licenses.get(ref),
    purl,
  };
}
