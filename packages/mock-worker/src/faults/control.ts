/** The faults of all workers of a process, which can be replaced while they run. */
import { RuntimeError, toRuntimeError } from "@dyn/runtime";
import type { SystemRoute, Logger } from "@dyn/runtime/internal";
import { createFaultPlan, formatFaults, parseFaults, type Fault, type FaultPlan } from "./faults.ts";

export interface FaultControl {
  readonly current: readonly Fault[];
  /** One per worker. */
  readonly plans: readonly FaultPlan[];
  replace(faults: readonly Fault[]): void;
}

interface FaultSettings {
  readonly fault: readonly Fault[];
  readonly seed: number;
  readonly numWorkers: number;
}

/** Create `numWorkers` plans that begin with the faults of the options. */
export function createFaultControl({ fault, seed, numWorkers }: FaultSettings): FaultControl {
  const plans = Array.from({ length: numWorkers }, (_, index) => createFaultPlan(fault, seed + index));
  let current = fault;
  return {
    get current() {
      return current;
    },
    plans,
    replace(faults) {
      current = faults;
      for (const plan of plans) plan.replace(faults);
    },
  };
}

/** The control over HTTP: GET shows the faults, PUT replaces them by a list like that of `--fault`, DELETE ends them. */
export function toFaultRoute(control: FaultControl, log: Logger): SystemRoute {
  const replace = (text: string): void => {
    control.replace(readFaults(text));
    log.child({ target: "dyn_mock_worker" }).info({ faults: formatFaults(control.current) }, "faults replaced");
  };
  return {
    read: () => ({ faults: formatFaults(control.current) }),
    orders: { PUT: replace, DELETE: () => replace("") },
  };
}

function readFaults(text: string): readonly Fault[] {
  try {
    return parseFaults(text);
  } catch (cause) {
    throw new RuntimeError("invalid_argument", toRuntimeError(cause).message, { cause });
  }
}
