/** Runs scripts on pretend GPUs, each in a process of its own: pretend libraries are nothing for other tests. */
const { spawnSync } = require('node:child_process');
const { existsSync } = require('node:fs');
const { createRequire } = require('node:module');
const { join } = require('node:path');
const { pretendCudaEnvironment, pretendCudaFolders } = require('./folder.cjs');

const { version } = createRequire(__filename)('onnxruntime-node/package.json');
const folders = pretendCudaFolders(version);
const REGISTER = join(__dirname, '../../executor/__fixtures__/register.cjs');
/** Has scripts find the sources of other packages instead of what is built of them. */
const FROM_SOURCE = ['-C', '@spatialsv/source', '-r', REGISTER];

/** Whether the dry run of the device `cuda` was prepared here; says what to do where it was not. */
function hasPretendCuda() {
  const available = Object.values(folders).every((folder) => existsSync(folder));
  if (!available) {
    console.warn(
      'The dry run of the device "cuda" is skipped: run `node scripts/pretend-cuda.mjs` first.',
    );
  }
  return available;
}

function spawnOnPretendCuda(args, environment = {}) {
  return spawnSync(process.execPath, [...process.execArgv, ...args], {
    encoding: 'utf8',
    timeout: 300_000,
    maxBuffer: 1 << 26,
    env: { ...process.env, ...pretendCudaEnvironment(folders), ...environment },
  });
}

function dryRun(script, { args = [], environment } = {}) {
  const child = spawnOnPretendCuda([...FROM_SOURCE, script, ...args], environment);
  if (child.status === 0) return JSON.parse(child.stdout);
  throw new Error(`child ended with ${child.status ?? child.signal}: ${child.stderr}`);
}

module.exports = { hasPretendCuda, spawnOnPretendCuda, dryRun };
