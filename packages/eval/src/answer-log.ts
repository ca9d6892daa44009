import { appendLine, writeFileAtomic } from '@spatialsv/core';
import type { Answer } from './answers.js';

/** The log of a run folder: a line for every answer, as it comes. */
export class AnswerLog {
  readonly #file: string;
  /** Places of the questions, in the order of the lines. */
  readonly #lines: number[];
  /** One line at a time. */
  #last: Promise<void> = Promise.resolve();

  /** @param lines places of the questions whose answers the file has. */
  constructor(file: string, lines: readonly number[]) {
    this.#file = file;
    this.#lines = [...lines];
  }

  /** Resolves when the line is in the file. */
  add(answer: Answer): Promise<void> {
    const write = this.#last.then(async () => {
      await appendLine(this.#file, JSON.stringify(answer));
      this.#lines.push(answer.index);
    });
    this.#last = write.catch(() => undefined);
    return write;
  }

  /** Leaves the answers in the order that they are given in, whenever they came: equal evaluations leave equal files. */
  async leaveInOrder(answers: readonly Answer[]): Promise<void> {
    if (answers.every(({ index }, i) => this.#lines[i] === index)) return;
    const lines = answers.map((answer) => `${JSON.stringify(answer)}\n`);
    await writeFileAtomic(this.#file, lines.join(''));
  }
}
