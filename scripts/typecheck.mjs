/**
 * Type-checks all packages with their tests, in one process of the compiler, which reads what they have in common once. Needs a build.
 */
import { spawnSync } from 'node:child_process';
import { existsSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { readArguments } from './arguments.mjs';

readArguments(import.meta.url);

const root = fileURLToPath(new URL('..', import.meta.url));
const configurations = readdirSync(join(root, 'packages'))
  .flatMap((name) =>
    ['tsconfig.spec.json', 'tsconfig.page.json'].map((file) => join(root, 'packages', name, file)),
  )
  .filter(existsSync);
const tsc = join(root, 'node_modules', 'typescript', 'bin', 'tsc');
const { status } = spawnSync(process.execPath, [tsc, '--build', ...configurations], {
  stdio: 'inherit',
});
process.exitCode = status ?? 1;
