/**
 * `writer.cjs FOLDER FIRST COUNT [IN_FLIGHT]`: writes sample labels of the seeds FIRST, FIRST + 1, …, four at a time unless
 * told otherwise, and prints each seed once its write has been reported. Ends with the code of the error where one comes.
 */
const { writeSync } = require('node:fs');
const { LabelStore } = require('../label-store.ts');
const { sampleStoredLabels } = require('../../testing/sample-labels.ts');

const SIZE = { height: 56, width: 56, grid: [4, 4, 64] };

async function main(folder, first, count, inFlight) {
  const store = await LabelStore.open(folder);
  writeSync(1, 'open\n');
  let seed = first;
  const work = async () => {
    while (seed < first + count) {
      const mine = seed++;
      const { key, stored } = sampleStoredLabels(mine, SIZE);
      await store.write(key, stored);
      writeSync(1, `${mine}\n`);
    }
  };
  await Promise.all(Array.from({ length: inFlight }, work));
  await store.close();
}

const [folder, first, count, inFlight = 4] = process.argv.slice(2);
main(folder, Number(first), Number(count), Number(inFlight)).catch(async (error) => {
  writeSync(1, `${JSON.stringify({ code: error.code, message: error.message })}\n`);
  process.exitCode = 1;
});
