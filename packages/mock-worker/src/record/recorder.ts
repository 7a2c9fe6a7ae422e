/** Asks a model of somebody else, and writes down what it said. */
import { rename, rm, writeFile } from "node:fs/promises";
import type { RequestContext } from "@dyn/runtime";
import type { Delta, Engine, ModelRequest } from "@dyn/runtime/llm";
import type { Logger } from "@dyn/runtime/internal";
import type { Plan } from "../answers/plan.ts";
import { compileAnswer } from "../script/answer.ts";
import { formatScript } from "../script/read.ts";
import type { ScriptControl } from "../script/control.ts";
import { Said } from "./said.ts";

export interface RecorderOptions {
  /** Whom it asks. */
  readonly upstream: Engine;
  /** Where the answers go, to be found by the next request that is the same. */
  readonly script: ScriptControl;
  /** Where the script is written. */
  readonly path: string;
  readonly log: Logger;
  /** Monotonic clock, ms. */
  readonly now: () => number;
}

/** An answer of somebody else. */
export interface Recording {
  readonly deltas: AsyncGenerator<Delta, void>;
  /** The plan of what has come so far. */
  readonly toPlan: () => Plan;
}

export interface Recorder {
  /** Ask the model, once the deltas are. What it says is written down when it has said all of it: errors and answers that were cut short are not. */
  ask(request: ModelRequest, context: RequestContext): Recording;
  /** Resolves when all is written. */
  flush(): Promise<void>;
}

export function createRecorder({ upstream, script, path, log, now }: RecorderOptions): Recorder {
  const file = createFile(path, log);
  const keep = (request: ModelRequest, said: Said): void => {
    if (!said.isWhole || !script.add(said.toFixture(request))) return;
    const { source } = script; // as it is now: somebody may replace it before it is written
    log.info({ path, rules: source.fixtures.length }, "answer recorded");
    file.write(() => formatScript(path, source));
  };
  const listen = async function* (request: ModelRequest, context: RequestContext, said: Said): Recording["deltas"] {
    let at = now();
    try {
      for await (const delta of toItems(upstream(request, context))) {
        const before = at;
        at = now();
        said.add(delta, at - before);
        yield delta;
      }
    } finally {
      keep(request, said); // also when nobody asks for what comes after the end
    }
  };
  return {
    ask(request, context) {
      const said = new Said();
      return {
        deltas: listen(request, context, said),
        toPlan: () => compileAnswer(said.toFixture(request)) ?? { blocks: [] },
      };
    },
    flush: file.flush,
  };
}

async function* toItems(given: AsyncIterable<Delta, void> | Promise<Delta>): AsyncGenerator<Delta, void> {
  if (Symbol.asyncIterator in given) yield* given;
  else yield await given;
}

interface ScriptFile {
  readonly write: (toText: () => string) => void;
  readonly flush: () => Promise<void>;
}

// One write at a time, each a file of its own that takes the place of the one before: whoever reads it finds all of it. What comes meanwhile goes with the next.
function createFile(path: string, log: Logger): ScriptFile {
  let waiting: (() => string) | undefined;
  let writing: Promise<void> | undefined;
  const writeAll = async (): Promise<void> => {
    const own = `${path}.${process.pid}.part`;
    for (let next = waiting; next; next = waiting) {
      waiting = undefined;
      try {
        await writeFile(own, next());
        await rename(own, path);
      } catch (error) {
        log.error({ path, error }, "script cannot be written, what was recorded is in memory only");
        await rm(own, { force: true });
      }
    }
    writing = undefined;
  };
  return {
    write(toText) {
      waiting = toText;
      writing ??= writeAll();
    },
    flush: async () => writing,
  };
}
