/** Everything that is fuzzed in one thread. */
import { bodyTargets } from "./body-targets.ts";
import { codedTargets } from "./coded-targets.ts";
import { lineTargets } from "./line-targets.ts";
import { planeTargets } from "./plane-targets.ts";
import type { Target } from "./target.ts";

export const targets: readonly Target[] = [...planeTargets, ...codedTargets, ...bodyTargets, ...lineTargets];
