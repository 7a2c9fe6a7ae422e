/** Which frame is under way for too long: whoever sends a byte of it now and then would keep its memory for ever. */

/** Checks after which a frame is late. */
export const maxFrameChecks = 60;

/** Of one connection. */
export class FrameWatch {
  #frame: number | undefined;
  #checks = 0;

  /** Check again: `frame` says which one is under way, if any; while nothing is read, it is not the peer that is slow. */
  isLate(frame: number | undefined, isPaused: boolean): boolean {
    if (frame === undefined || frame !== this.#frame || isPaused) this.#checks = 0;
    else this.#checks += 1;
    this.#frame = frame;
    return this.#checks >= maxFrameChecks;
  }
}
