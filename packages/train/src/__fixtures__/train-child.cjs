/**
 * `train-child.cjs FOLDER OUT STEPS [LARGE_FROM] [INTERRUPTS]`: trains on the toy inputs of FOLDER, a checkpoint after each step, going
 * on where OUT has some. Prints `saved STEP` for each, and the error as JSON where one comes. From checkpoint LARGE_FROM on a
 * checkpoint has a file of 4 MB more, which a small disk or a limit of file sizes refuses. SIGINT, for which it prints `interrupted`,
 * finishes the step under way and saves; a second one ends the process at once, as the commands do. Where INTERRUPTS are named, the
 * second save prints `saving` and does not end before so many have come.
 */
const { writeSync, writeFileSync } = require('node:fs');
const { basename, join } = require('node:path');
const { setTimeout: sleep } = require('node:timers/promises');
const { openToyBackbone } = require('../testing/toy-backbone.ts');
const { toySource } = require('../testing/toy-data.ts');
const { toyConfig } = require('../testing/toy-run.ts');
const { train } = require('../train.ts');

const print = (text) => writeSync(1, `${text}\n`);

async function main(folder, out, steps, largeFrom, awaited) {
  const abort = new AbortController();
  let interrupts = 0;
  process.on('SIGINT', () => {
    interrupts += 1;
    print('interrupted');
    if (interrupts > 1) process.exit(130);
    abort.abort();
  });
  const config = toyConfig(folder, out, {
    checkpointEvery: 1,
    keepCheckpoints: 1,
    schedule: { steps, warmupRatio: 0 },
  });
  const toy = await openToyBackbone(config.model);
  let saves = 0;
  const save = async (target, replaced) => {
    await toy.save(target, replaced);
    saves += 1;
    if (saves === 2 && awaited > 0) print('saving');
    while (saves === 2 && interrupts < awaited) await sleep(5);
    if (saves >= largeFrom) writeFileSync(join(target, 'large'), Buffer.alloc(4 << 20));
  };
  const onCheckpoint = (name) => print(`saved ${basename(name).slice('step-'.length)}`);
  const backbone = { ...toy, save };
  const { signal } = abort;
  await train(config, { backbone, source: toySource, resume: true, onCheckpoint, signal });
}

const [folder, out, steps, largeFrom = 'Infinity', awaited = 0] = process.argv.slice(2);
main(folder, out, Number(steps), Number(largeFrom), Number(awaited)).catch((error) => {
  print(JSON.stringify({ code: error.code, message: error.message, hint: error.hint }));
  process.exitCode = 1;
});
