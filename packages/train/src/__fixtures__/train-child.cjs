/**
 * `train-child.cjs FOLDER OUT STEPS [LARGE_FROM]`: trains on the toy inputs of FOLDER, a checkpoint after each step, going on
 * where OUT has some. Prints `saved STEP` for each, and the error as JSON where one comes. From checkpoint LARGE_FROM on a
 * checkpoint has a file of 4 MB more, which a limit of file sizes refuses.
 */
const { writeSync, writeFileSync } = require('node:fs');
const { basename, join } = require('node:path');
const { openToyBackbone } = require('../testing/toy-backbone.ts');
const { toySource } = require('../testing/toy-data.ts');
const { toyConfig } = require('../testing/toy-run.ts');
const { train } = require('../train.ts');

const print = (text) => writeSync(1, `${text}\n`);

async function main(folder, out, steps, largeFrom) {
  const config = toyConfig(folder, out, {
    checkpointEvery: 1,
    keepCheckpoints: 1,
    schedule: { steps, warmupRatio: 0 },
  });
  const toy = await openToyBackbone(config.model);
  let saves = 0;
  const save = async (target, replaced) => {
    await toy.save(target, replaced);
    if (++saves >= largeFrom) writeFileSync(join(target, 'large'), Buffer.alloc(4 << 20));
  };
  const onCheckpoint = (name) => print(`saved ${basename(name).slice('step-'.length)}`);
  await train(config, { backbone: { ...toy, save }, source: toySource, resume: true, onCheckpoint });
}

const [folder, out, steps, largeFrom = Number.POSITIVE_INFINITY] = process.argv.slice(2);
main(folder, out, Number(steps), Number(largeFrom)).catch((error) => {
  print(JSON.stringify({ code: error.code, message: error.message }));
  process.exitCode = 1;
});
