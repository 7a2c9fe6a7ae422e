/** What time it is, to the microsecond, and as of now: the system's clock may be set while a process runs, and the monotonic one stands still while a machine sleeps. */

export interface WallClock {
  /** Unix time in ms with a fraction. It goes back only if the system's clock is set back. */
  readonly now: () => number;
  /** Unix time minus the monotonic clock, ms. Taken at the beginning of something, it keeps its times in order and its durations right whatever becomes of the system's clock. */
  readonly offset: () => number;
}

export interface WallClockOptions {
  /** The system's clock: Unix time in whole ms. Default `Date.now`. */
  readonly systemClock?: () => number;
  /** Default `performance.now`. */
  readonly monotonic?: () => number;
  /** First guess of the offset. Default `performance.timeOrigin`, which is right until the clock is set. */
  readonly origin?: number;
}

/** How far the two clocks may part, ms. */
const toleranceMs = 1;

/** `Date` has whole milliseconds only: what is below them comes from the monotonic clock, as long as the two agree. */
export function createWallClock(options: WallClockOptions = {}): WallClock {
  const {
    systemClock = () => Date.now(),
    monotonic = () => performance.now(),
    origin = performance.timeOrigin,
  } = options;
  let offset = origin;

  // Negative if what was told by the offset is less than what the system says, which cut its fraction off; 0 if they agree.
  function drift(reading: number, system: number): number {
    const told = reading + offset;
    if (told < system - toleranceMs) return told - system;
    return told >= system + 1 + toleranceMs ? told - (system + 1) : 0;
  }

  function read(): number {
    const reading = monotonic();
    if (drift(reading, systemClock()) === 0) return reading;
    // The process may have been stopped between the two looks: only what is seen twice is true.
    const [again, system] = [monotonic(), systemClock()];
    if (drift(again, system) !== 0) offset = system - again;
    return again;
  }

  return {
    now: () => read() + offset,
    offset: () => {
      read();
      return offset;
    },
  };
}
