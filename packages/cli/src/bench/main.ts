import { nearestName } from '@spatialsv/core';
import { ENGINE_CASES } from './engine-bench.js';

/** `npm run bench -- BENCH [CASE …]`: measures and prints one JSON object a line. */
const BENCHES: Readonly<Record<string, Readonly<Record<string, () => Promise<void>>>>> = {
  engine: ENGINE_CASES,
};

const USAGE = `usage: npm run bench -- BENCH [CASE …]\n${Object.entries(BENCHES)
  .map(([name, cases]) => `  ${name}: ${Object.keys(cases).join(', ')}`)
  .join('\n')}\n`;

async function main([bench, ...wanted]: string[]): Promise<number> {
  const cases = bench === undefined ? undefined : BENCHES[bench];
  const unknown = cases === undefined ? bench : wanted.find((name) => !(name in cases));
  if (cases === undefined || unknown !== undefined) {
    const known = cases === undefined ? Object.keys(BENCHES) : Object.keys(cases);
    const near = unknown === undefined ? undefined : nearestName(known, unknown);
    process.stderr.write(
      near === undefined ? USAGE : `unknown: ${unknown}; did you mean ${near}?\n${USAGE}`,
    );
    return 2;
  }
  for (const name of wanted.length > 0 ? wanted : Object.keys(cases)) await cases[name]!();
  return 0;
}

process.exitCode = await main(process.argv.slice(2));
