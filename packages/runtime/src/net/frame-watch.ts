/** Which frame is under way for too long: whoever sends a byte of it now and then would keep its memory for ever. */

/** Looks after which a frame is late. */
export const maxFrameLooks = 60;

/** Of one connection. */
export class FrameWatch {
  #frame: number | undefined;
  #looks = 0;

  /** Look again: `frame` says which one is under way, if any; while nothing is read, it is not the peer that is slow. */
  isLate(frame: number | undefined, isPaused: boolean): boolean {
    if (frame === undefined || frame !== this.#frame || isPaused) this.#looks = 0;
    else this.#looks += 1;
    this.#frame = frame;
    return this.#looks >= maxFrameLooks;
  }
}
