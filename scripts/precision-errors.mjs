/**
 * `node scripts/precision-errors.mjs`: prints the table of docs/precision.md, how far results and gradients in 16 bits are from
 * those in float32, for every operation with products of the kernel suite. Run after `npm run build`.
 */
import { importBuilt, readArguments } from './arguments.mjs';

readArguments(import.meta.url);
const { compileCase } = await importBuilt('engine/dist/testing/compare.js');
const { FUSED } = await importBuilt('engine/dist/testing/fused-cases.js');
const { differentiatedInputs, GROUPS } = await importBuilt('engine/dist/testing/kernel-cases.js');

const TYPES = ['bfloat16', 'float16'];
const tables = Object.fromEntries(GROUPS);
const rows = [
  ...FUSED.filter(([name]) => /linear|product|attention/.test(name)),
  ...tables.matrices.slice(0, 2),
  ...tables.convolutions.slice(0, 6),
];

async function outputs([, program, given], by, precision) {
  const compiled = await compileCase(program, given, by, { precision });
  const found = await compiled.at(0, undefined);
  await compiled.dispose();
  return found;
}

/** ‖a − b‖ / ‖b‖. */
const distance = ({ data }, { data: expected }) =>
  Math.hypot(...expected.map((x, i) => x - data[i])) / Math.hypot(...expected);

const shown = (error) => (Number.isFinite(error) ? error.toExponential(1) : '–');

console.log(
  `| operation | ${TYPES.map((type) => `${type}: result | gradients`).join(' | ')} |\n|---|---|---|---|---|`,
);
for (const row of rows) {
  const by = differentiatedInputs(row);
  const exact = await outputs(row, by, 'float32');
  const cells = [];
  for (const type of TYPES) {
    const found = await outputs(row, by, type);
    const errors = by.map((i) => distance(found.gradients[i], exact.gradients[i]));
    cells.push(shown(distance(found.value, exact.value)), shown(Math.max(...errors)));
  }
  console.log(`| ${row[0]} | ${cells.join(' | ')} |`);
}
