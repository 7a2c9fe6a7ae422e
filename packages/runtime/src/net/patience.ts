/** Waits for a peer that is silent and lives, instead of taking it for dead. */
import type { RuntimeError } from "../errors.ts";
import type { Liveness } from "./liveness.ts";
import { longestSilenceMs, type Witness } from "./witness.ts";

/** Of one connection. Without a witness there is none. */
export class Patience {
  #witness: Witness | undefined;
  #liveness: Liveness;
  #onStall: (isStalled: boolean) => void;
  #isStalled = false;
  #isAsking = false;

  constructor(liveness: Liveness, witness: Witness | undefined, onStall: (isStalled: boolean) => void) {
    this.#witness = witness;
    this.#liveness = liveness;
    this.#onStall = onStall;
  }

  /** The peer has sent something. */
  heard(): void {
    if (!this.#isStalled) return;
    this.#isStalled = false;
    this.#onStall(false);
  }

  /** An interval is over: the peer was silent, or was not. */
  endInterval(isSilent: boolean): void {
    if (isSilent) this.#witness?.look();
    else this.#witness?.forget();
  }

  /** The peer is dead, as far as this end knows: `onDead` is called unless it is only silent and somebody knows better; at once if nobody can. Never rejects. */
  async judge({ code }: RuntimeError, isPaused: boolean, onDead: () => void): Promise<void> {
    if (this.#isAsking) return;
    const isSilent = code === "disconnected" && !isPaused && this.#liveness.silentMs < longestSilenceMs;
    if (!this.#witness || !isSilent) return onDead();
    this.#isAsking = true;
    const isAlive = await this.#witness.vouches();
    this.#isAsking = false;
    if (!this.#liveness.isSilent) return; // it has been heard meanwhile
    if (!isAlive) return onDead();
    if (this.#isStalled) return;
    this.#isStalled = true;
    this.#onStall(true);
  }
}
