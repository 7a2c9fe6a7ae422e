/** When those who send items let others be heard. An engine whose tokens are there already never waits for anything: without pauses, a few requests with a thousand
 *  completions each would hold the event loop for seconds, and with it the answers to pings, so that callers take the worker for dead. */

/** Items that are sent in one round of the event loop, of all requests together: some ten milliseconds, and half a second of the dearest, those of thousands of completions. Fewer cost more: what leaves in one round is written together. */
const mostItems = 8_192;

/** Asked after each item. @returns a promise that resolves in the next round, if enough has been sent in this one. */
export type Pauses = () => Promise<void> | undefined;

/** One per process. `later` calls `goOn` in the next round. */
export function createPauses(later: (goOn: () => void) => unknown = setImmediate): Pauses {
  let items = 0;
  let pause: Promise<void> | undefined;
  const begin = (): Promise<void> =>
    new Promise((resolve) => {
      later(() => {
        items = 0;
        pause = undefined;
        resolve();
      });
    });
  return () => {
    items += 1;
    if (items >= mostItems) pause ??= begin();
    return pause;
  };
}
