import { compiled } from './compiled.mjs';

const { processClocks } = await compiled('engine', 'devices/kernel-choice/clocks.js');
const { chooseKernels } = await compiled('engine', 'devices/kernel-choice/index.js');
const { findBlock, measureSize } = await compiled('engine', 'devices/kernel-choice/measure.js');
const { kernelTrials } = await compiled('engine', 'devices/kernel-choice/trials.js');
const { BLOCK_SIZES } = await compiled('engine', 'graph/choice.js');
const { compileCase, evaluateEagerly, worst } = await compiled('engine', 'testing/compare.js');
const { differentiatedInputs, GROUPS } = await compiled('engine', 'testing/kernel-cases.js');

const SIZE = { rows: 289, channels: 32 };
/** What is equal does not depend on how often it runs. */
const MEASURING = { clocks: processClocks(1), end: 0 };

/** Every block size was tried, at most one is right, and its graphs equal the plain ones in every kind. */
export async function checkBlocks(comparisons) {
  const tried = [];
  for (const block of BLOCK_SIZES) tried.push(...(await findBlock([block])).tried);
  const equal = tried.filter((each) => each.equal).map(({ block }) => block);
  comparisons.holds(tried.length === BLOCK_SIZES.length, 'not every block size was tried');
  comparisons.holds(equal.length <= 1, `several block sizes are right: ${equal}`);
  // Others compare threads, not layouts.
  const trials = kernelTrials().filter(({ candidates }) => candidates.includes('blocked'));
  for (const trial of trials) {
    for (const block of BLOCK_SIZES) {
      const { equal: ways } = await measureSize(trial, SIZE, block, MEASURING);
      const isRight = block === equal[0];
      if (isRight)
        comparisons.holds(ways.includes('blocked'), `${trial.kind} in blocks of ${block}`);
      else if (trial.kind !== 'product') {
        comparisons.holds(!ways.includes('blocked'), `${trial.kind} takes blocks of ${block}`);
      }
    }
  }
  return tried;
}

/** The choice that users get: measured, gone on with from its file, and begun anew where the file has a wrong block. */
export async function checkChoice(comparisons, folder, rewrite) {
  const { block } = await findBlock();
  const sources = [];
  /** @returns how often each size was measured. */
  const choose = async () => {
    const { choice, report } = await chooseKernels(folder);
    sources.push(report.source);
    comparisons.holds(choice.block === block, `a choice of block ${choice.block}, not ${block}`);
    return report.kernels.map(({ rounds }) => rounds);
  };
  const first = sum(await choose());
  const second = sum(await choose());
  comparisons.holds(second > first, `${second} measurements after ${first}: the file was not read`);
  rewrite(
    folder,
    BLOCK_SIZES.find((size) => size !== block),
  );
  const anew = await choose();
  comparisons.holds(Math.max(...anew) === 1, `rounds ${anew}: a wrong block was believed`);
  return sources;
}

const sum = (numbers) => numbers.reduce((total, number) => total + number, 0);

/** Values and gradients of a group of kernels beside tfjs, which computes them in JavaScript. */
export async function checkKernels(comparisons, group) {
  const [, table] = GROUPS.find(([name]) => name === group);
  for (const row of table) await checkKernel(comparisons, group, row);
}

async function checkKernel(comparisons, group, row) {
  const [name, program, given] = row;
  const inputs = differentiatedInputs(row);
  const ready = await compileCase(program, given, inputs);
  const found = await ready.at(0, undefined);
  const expected = await evaluateEagerly(program, ready, inputs);
  await ready.dispose();
  const error = worst(found.value, expected.value);
  comparisons.holds(error < 2e-5, `${group}: ${name} differs by ${error}`);
  for (const by of inputs) {
    const slope = worst(found.gradients[by], expected.gradients[by]);
    comparisons.holds(slope < 1e-4, `${group}: gradient of ${name} by ${by} differs by ${slope}`);
  }
}
