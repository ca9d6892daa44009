/**
 * What one processor computes, beside reference numbers. `node scripts/emulated/check.mjs`, with SPATIALSV_KERNELS=plain or
 * blocked for the way in which programs are written; prints one line of JSON.
 */
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Comparisons } from './compare.mjs';
import { checkDecoderBlocks, checkHeads, checkLosses, checkOptimizer } from './golden-checks.mjs';
import { checkBlocks, checkChoice, checkKernels } from './kernel-checks.mjs';

const comparisons = new Comparisons();

function claimBlock(folder, block) {
  const file = join(folder, readdirSync(folder)[0]);
  const text = readFileSync(file, 'utf8');
  writeFileSync(file, text.replace(/"block": \w+,/, `"block": ${block},`));
}

async function checkInFolder() {
  const folder = mkdtempSync(join(tmpdir(), 'emulated-kernels-'));
  try {
    return await checkChoice(comparisons, folder, claimBlock);
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

/** Seconds of each part. */
const times = {};
async function timed(name, part) {
  const started = performance.now();
  const result = await part();
  times[name] = Math.round((performance.now() - started) / 1000);
  return result;
}

const kernels = process.env.SPATIALSV_KERNELS;
// What the layout does not touch is the same in either way.
const isBlocked = kernels === 'blocked';
const blocks = isBlocked ? await timed('blocks', () => checkBlocks(comparisons)) : undefined;
const sources = isBlocked ? await timed('choice', checkInFolder) : undefined;
const groups = isBlocked ? ['matrices', 'convolutions', 'fused'] : ['convolutions'];
for (const group of groups) await timed(group, () => checkKernels(comparisons, group));
for (const name of ['native', 'resized', 'reduced']) {
  await timed(`heads ${name}`, () => checkHeads(comparisons, name));
}
for (const name of isBlocked ? ['even', 'odd', 'literal', 'plain', 'outliers'] : []) {
  await timed(`losses ${name}`, () => checkLosses(comparisons, name));
}
await timed('decoder', () => checkDecoderBlocks(comparisons));
if (isBlocked) await timed('optimizer', () => checkOptimizer(comparisons));
const { passed, failures } = comparisons;
console.log(JSON.stringify({ kernels, passed, failures, blocks, sources, times }));
process.exit(failures.length === 0 ? 0 : 1);
