/** A fixed number of places, given in the order they were asked for. */

export interface Slots {
  /** Wait for a place. Rejects with the signal's reason. The result gives it back. */
  take(signal: AbortSignal): Promise<Disposable>;
}

/** Create `size` places. Waiters are bounded by the streams the plane admits. */
export function createSlots(size: number): Slots {
  let free = size;
  const waiters = new Set<() => void>();
  const release = (): void => {
    const [next] = waiters;
    if (!next) {
      free += 1;
      return;
    }
    waiters.delete(next);
    next(); // the place changes hands without becoming free
  };
  function place(): Disposable {
    let held = true;
    return {
      [Symbol.dispose]() {
        if (held) release();
        held = false;
      },
    };
  }
  return {
    async take(signal) {
      signal.throwIfAborted();
      if (free > 0) {
        free -= 1;
        return place();
      }
      const { promise, resolve, reject } = Promise.withResolvers<void>();
      const leave = (): void => {
        if (waiters.delete(resolve)) reject(signal.reason);
      };
      waiters.add(resolve);
      signal.addEventListener("abort", leave, { once: true });
      try {
        await promise;
      } finally {
        signal.removeEventListener("abort", leave);
      }
      return place();
    },
  };
}
