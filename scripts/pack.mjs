// `npm run pack [-- FOLDER]`: a tarball of each package, to install in another project, and beside it a list of what it needs (SBOM). Default folder: packs.
import { readdirSync } from "node:fs";
import { join, resolve } from "node:path";
import { packOrExit, setUpOrExit } from "./bootstrap.mjs";
import { writeSbomsOrExit } from "./sbom.mjs";

const folder = resolve(process.argv[2] ?? "packs");
await setUpOrExit();
await packOrExit(folder);
await writeSbomsOrExit(folder);
const tarballs = readdirSync(folder).filter((name) => /^dyn-.*\.tgz$/.test(name));
process.stdout.write(`npm install ${tarballs.map((name) => join(folder, name)).join(" ")}\n`);
