/** The models that are served now, each by a runtime of its own: they come and go as the upstream's list does. */
import type { Runtime } from "@dyn/runtime";
import type { Logger } from "@dyn/runtime/internal";
import type { ListedModel } from "./options.ts";

export interface Members {
  /** Names for clients. */
  readonly names: readonly string[];
  /** Serve these and no others. Those that go finish what runs, and are not waited for. @throws what has kept one of them from being served. */
  set(models: ReadonlyMap<string, ListedModel>): Promise<void>;
  /** Resolves after all have drained; nothing is served any more. */
  close(): Promise<void>;
}

/** Create them, with none. `serve` opens the runtime of one. */
export function createMembers(log: Logger, serve: (name: string, model: ListedModel) => Promise<Runtime>): Members {
  const served = new Map<string, { readonly model: ListedModel; readonly runtime: Runtime }>();
  const leaving = new Set<Promise<void>>();
  let turn = Promise.resolve();
  let isClosed = false;
  const leave = (name: string, runtime: Runtime): void => {
    served.delete(name);
    const left = runtime
      .close()
      .catch((error: unknown) => log.error({ error, model: name }, "a model could not be closed"));
    leaving.add(left);
    void left.finally(() => leaving.delete(left));
  };
  const change = async (models: ReadonlyMap<string, ListedModel>): Promise<void> => {
    for (const [name, { model, runtime }] of served) {
      const now = models.get(name);
      if (now && now.upstream === model.upstream && now.contextLength === model.contextLength) continue;
      log.warn(
        { model: name },
        now
          ? "the upstream says other things of a model: it is served anew"
          : models.size > 0
            ? "the upstream serves a model no more: it is withdrawn"
            : "the upstream does not answer as it should: a model is withdrawn until it does",
      );
      leave(name, runtime);
    }
    let failure: unknown;
    for (const [name, model] of models) {
      if (isClosed || served.has(name)) continue;
      try {
        served.set(name, { model, runtime: await serve(name, model) });
      } catch (error) {
        failure ??= error; // the others are served all the same
      }
    }
    if (failure !== undefined) throw failure;
  };
  return {
    get names() {
      return [...served.keys()];
    },
    set(models) {
      if (isClosed) return Promise.resolve();
      const done = turn.then(() => change(models)); // one look may be slower than the next
      turn = done.catch(() => undefined);
      return done;
    },
    async close() {
      isClosed = true;
      await turn;
      for (const [name, { runtime }] of served) leave(name, runtime);
      await Promise.all(leaving);
    },
  };
}
