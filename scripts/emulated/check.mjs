/**
 * What one processor computes, beside reference numbers. `node scripts/emulated/check.mjs`, with SPATIALSV_KERNELS=plain or
 * blocked for the way in which programs are written; prints one line of JSON.
 */
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Comparisons } from './compare.mjs';
import { checkDecoderBlocks, checkHeads, checkLosses } from './golden-checks.mjs';
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

const kernels = process.env.SPATIALSV_KERNELS;
const blocks = kernels === 'blocked' ? await checkBlocks(comparisons) : undefined;
const sources = kernels === 'blocked' ? await checkInFolder() : undefined;
await checkKernels(comparisons);
for (const name of ['native', 'resized', 'reduced']) await checkHeads(comparisons, name);
for (const name of ['even', 'odd', 'literal', 'plain', 'outliers']) {
  await checkLosses(comparisons, name);
}
await checkDecoderBlocks(comparisons);
const { passed, failures } = comparisons;
console.log(JSON.stringify({ kernels, passed, failures, blocks, sources }));
process.exit(failures.length === 0 ? 0 : 1);
