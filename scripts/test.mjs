/**
 * The whole check of this repository: build, lint, type-check, every Jest project, and the packed packages in plain Node.
 * Stops at the first stage that fails; the last line is `N passed, N failed[, N skipped]`.
 */
import { spawnSync } from 'node:child_process';
import { existsSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { delimiter, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { readArguments } from './arguments.mjs';
import { runSmoke } from './smoke.mjs';

readArguments(import.meta.url);

const root = fileURLToPath(new URL('..', import.meta.url));
const scratch = mkdtempSync(join(tmpdir(), 'spatialsv-test-'));
const jestReport = join(scratch, 'jest.json');

const binaries = join(root, 'node_modules', '.bin');
const env = { ...process.env, PATH: `${binaries}${delimiter}${process.env.PATH ?? ''}` };

const NOTHING = { passed: 0, failed: 0, skipped: 0 };

/** Runs a command with inherited output; its failure counts as one failed check. */
function command(name, ...args) {
  const { status, error } = spawnSync(name, args, { cwd: root, env, stdio: 'inherit' });
  if (error) console.error(`${name} could not be started (${error.message}); run npm ci first.`);
  return { ...NOTHING, failed: status === 0 ? 0 : 1 };
}

/**
 * Of V8, handed on to the workers of Jest. Each file of tests runs in a context of its own, whose functions would be optimised anew
 * after a few calls, and every worker would collect garbage on threads that take cores from the others: without both a file of
 * training tests takes three quarters of the processor time.
 */
const V8_OPTIONS = [
  '--single-threaded-gc',
  '--max-semi-space-size=64',
  '--interrupt-budget=400000',
];

/** Node ends at an option that its V8 does not have; versions differ in them. */
const isKnown = (option) => spawnSync(process.execPath, [option, '-e', '0']).status === 0;

/** Jest over all packages; its counts come from its own report. */
function unitTests() {
  const jest = join(root, 'node_modules', 'jest', 'bin', 'jest.js');
  const options = ['--json', `--outputFile=${jestReport}`];
  const ended = command(process.execPath, ...V8_OPTIONS.filter(isKnown), jest, ...options);
  if (!existsSync(jestReport)) return ended;
  const report = JSON.parse(readFileSync(jestReport, 'utf8'));
  const unloaded = report.numRuntimeErrorTestSuites;
  return {
    passed: report.numPassedTests,
    failed: Math.max(report.numFailedTests + unloaded, ended.failed),
    skipped: report.numPendingTests + report.numTodoTests,
  };
}

const stages = [
  ['build', () => command('nx', 'run-many', '-t', 'build')],
  ['lint', () => command('biome', 'check', '.')],
  ['type-check', () => command(process.execPath, join(root, 'scripts', 'typecheck.mjs'))],
  ['tests', unitTests],
  ['packed packages in plain Node', runSmoke],
];

const total = { ...NOTHING };
for (const [name, run] of stages) {
  console.log(`\n== ${name}`);
  const startedMs = performance.now();
  const counts = await run();
  for (const key of Object.keys(total)) total[key] += counts[key] ?? 0;
  const seconds = ((performance.now() - startedMs) / 1000).toFixed(1);
  console.log(`== ${name}: ${counts.failed > 0 ? 'failed' : 'done'} in ${seconds} s`);
  if (counts.failed > 0) {
    console.log(`\nStopped at the stage "${name}": see its output above.`);
    process.exitCode = 1;
    break;
  }
}
rmSync(scratch, { recursive: true, force: true });

const skipped = total.skipped > 0 ? `, ${total.skipped} skipped` : '';
console.log(`\n${total.passed} passed, ${total.failed} failed${skipped}`);
