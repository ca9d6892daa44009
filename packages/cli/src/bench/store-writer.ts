import { writeSync } from 'node:fs';
import { LabelStore } from '@spatialsv/core';
import { sampleStoredLabels } from '@spatialsv/core/testing';

/**
 * `store-writer.js FOLDER FIRST`: writes label sets of the seeds FIRST, FIRST + 1, … until it is killed, and prints each
 * seed once its write has been reported.
 */
const [folder, first] = process.argv.slice(2);
const store = await LabelStore.open(folder!);
let seed = Number(first);

async function write(): Promise<never> {
  for (;;) {
    const mine = seed++;
    const { key, stored } = sampleStoredLabels(mine, { height: 56, width: 56, grid: [4, 4, 64] });
    await store.write(key, stored);
    writeSync(1, `${mine}\n`);
  }
}

await Promise.all(Array.from({ length: 4 }, write));
