import { existsSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import type { BackboneV1, PreparedInputsV1 } from '@spatialsv/core';
import { conversationOf, PreparationPool } from '@spatialsv/eval';
import type { BackboneOptions } from './model.js';

/** What a thread needs to open the same processor. */
export interface PreparationData {
  /** Working folder, whose plugins are taken. */
  readonly folder: string;
  readonly model: string;
  readonly options: BackboneOptions;
}

type Question = Parameters<PreparationPool['prepare']>[0];

const THREAD = new URL('./preparation-main.js', import.meta.url);

/** Makes prompts of questions, in threads of their own where the program is built. */
export class Preparation {
  readonly #backbone: BackboneV1;
  readonly #data: PreparationData;
  #pool: PreparationPool | undefined;

  constructor(backbone: BackboneV1, data: PreparationData) {
    this.#backbone = backbone;
    this.#data = data;
  }

  /** Threads begin with the first question: a finished evaluation has none. */
  async prepare(question: Question): Promise<PreparedInputsV1> {
    if (!existsSync(fileURLToPath(THREAD)))
      return this.#backbone.prepare(await conversationOf(question));
    this.#pool ??= new PreparationPool({ entry: THREAD, data: this.#data });
    return this.#pool.prepare(question);
  }

  async dispose(): Promise<void> {
    await this.#pool?.dispose();
  }
}
