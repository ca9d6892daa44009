/** Points of the first frame: few enough for a machine without a GPU. */
const FIRST_POINTS = 60_000;
const FEWEST_POINTS = 8_000;
/** A frame that takes longer is slow. Milliseconds. */
const SLOW_MS = 80;

/** How many points a frame may draw so that it stays short, learnt from the frames before. */
export class DrawBudget {
  #points = FIRST_POINTS;

  get points(): number {
    return this.#points;
  }

  /** @param drawn points of a frame. @param ms from its beginning to that of the next one. */
  learn(drawn: number, ms: number): void {
    if (ms > SLOW_MS) this.#points = Math.max(FEWEST_POINTS, Math.min(this.#points, drawn) * 0.7);
    // A frame that drew less says nothing of more.
    else if (ms < SLOW_MS / 2 && drawn > 0.9 * this.#points) this.#points *= 1.4;
  }
}
