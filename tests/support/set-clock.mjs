// Preloaded into programs under test: `Date` is off by as many ms as the file named in TEST_CLOCK says, as if the system's clock had been set.
import { readFileSync } from "node:fs";

const file = process.env["TEST_CLOCK"];
const SystemDate = Date;

function now() {
  return SystemDate.now() + Number(readFileSync(file, "utf8"));
}

if (file) {
  globalThis.Date = class Date extends SystemDate {
    constructor(...given) {
      super(...(given.length > 0 ? given : [now()]));
    }

    static now() {
      return now();
    }
  };
}
