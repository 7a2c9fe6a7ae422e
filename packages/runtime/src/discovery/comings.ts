/** Tells a program which instances come and go. */
import type { Logger } from "../logging/logger.ts";
import type { Instance } from "./instance.ts";

/** What a program wants to hear. */
export interface ComingsOptions {
  readonly onJoin?: ((instance: Instance) => unknown) | undefined;
  readonly onLeave?: ((instance: Instance) => unknown) | undefined;
  readonly log: Logger;
}

/** Once it is disposed nobody is told anything, of what has happened before either. */
export interface Comings extends Disposable {
  joined(instance: Instance): void;
  left(instance: Instance): void;
}

/** Whoever creates one goes on before the program hears the first word: those that are there already are told in the next microtask. */
export function createComings({ onJoin, onLeave, log }: ComingsOptions): Comings {
  const waiting: (() => void)[] = [];
  let isOpen = false;
  let isOver = false;
  const tell = (call: () => void): void => {
    if (isOpen && waiting.length === 0) call();
    else waiting.push(call); // in order, whatever a program does when it is told
  };
  queueMicrotask(() => {
    isOpen = true;
    for (const call of waiting) if (!isOver) call();
    waiting.length = 0;
  });
  return {
    joined(instance) {
      if (onJoin) tell(() => void callOut(onJoin, "onJoin", instance, log));
    },
    left(instance) {
      if (onLeave) tell(() => void callOut(onLeave, "onLeave", instance, log));
    },
    [Symbol.dispose]: () => void (isOver = true),
  };
}

// What it throws, or rejects with, must neither end the process nor keep others from hearing of the change.
async function callOut(
  hear: (instance: Instance) => unknown,
  name: string,
  instance: Instance,
  log: Logger,
): Promise<void> {
  try {
    await hear(instance);
  } catch (error) {
    log.error({ callback: name, instance_id: instance.id, error }, "a function told of instances has failed");
  }
}
