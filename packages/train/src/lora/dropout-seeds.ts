import { createHash } from 'node:crypto';
import { lowRankNames } from '@spatialsv/core';
import { createTensor, type DeviceTensor, int32 } from '@spatialsv/engine';
import type { RunConfig } from '../config/run-config.js';
import type { LoraLayer } from './lora-layers.js';

/**
 * Seeds of the dropout of every updated layer. They follow from the seed of the run, the position of a sample in it and the
 * name of the layer, so that a resumed run drops what it would have dropped, and a layer that is computed again drops the same.
 */
export class DropoutSeeds {
  /** Scalars int32, by full name. */
  readonly tensors: Readonly<Record<string, DeviceTensor>>;
  readonly #runSeed: number;

  constructor(
    layers: readonly LoraLayer[],
    { lora, seed, device }: Pick<RunConfig, 'lora' | 'seed' | 'device'>,
  ) {
    const named = lora.dropout === 0 ? [] : layers;
    this.tensors = Object.fromEntries(
      named.map(({ name }) => [lowRankNames(name).seed, createTensor(int32(), undefined, device)]),
    );
    this.#runSeed = seed;
  }

  /** @param position of the sample that is computed next, in the order of the run. */
  async draw(position: number): Promise<void> {
    for (const [name, tensor] of Object.entries(this.tensors)) {
      const hash = createHash('sha256').update(JSON.stringify([this.#runSeed, position, name]));
      await tensor.write(Int32Array.of(hash.digest().readInt32LE(0)));
    }
  }
}
