/**
 * `node scripts/pretend-cuda.mjs`: prepares the dry run of the device `cuda`, the real provider of ONNX Runtime beside pretend
 * libraries of CUDA, whose kernels do nothing and whose calls are counted. Needs Python with pip, a C compiler, and once 250 MB
 * from the package index. Kept in the user's cache, where the tests look for it; prints the value of SPATIALSV_CUDA that uses it.
 */
import { spawnSync } from 'node:child_process';
import { existsSync, mkdirSync, renameSync, rmSync } from 'node:fs';
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { readArguments } from './arguments.mjs';

readArguments(import.meta.url);

const root = join(dirname(fileURLToPath(import.meta.url)), '..');
const { version } = createRequire(import.meta.url)('onnxruntime-node/package.json');
const { pretendCudaEnvironment, pretendCudaFolders } = createRequire(import.meta.url)(
  '../packages/engine/src/testing/pretend-cuda/folder.cjs',
);
const folders = pretendCudaFolders(version);

/** The headers of the runtime that the pretend one is written against. */
const HEADERS = ['nvidia-cuda-runtime==13.0.96', 'nvidia-cuda-crt==13.0.88'];
const PROVIDER = `onnxruntime-gpu==${version}`;
/** Any wheel for Linux will do: Python itself never loads it. */
const PLATFORM = ['manylinux_2_28_x86_64', 'manylinux_2_17_x86_64', 'manylinux2014_x86_64']
  .flatMap((tag) => ['--platform', tag])
  .concat('--python-version', '3.12');

const UNPACK = `
import glob, sys, zipfile
for wheel in glob.glob(sys.argv[1] + "/*.whl"):
    with zipfile.ZipFile(wheel) as packed:
        for name in packed.namelist():
            if "/include/" in name or name.endswith(("providers_cuda.so", "providers_shared.so")) or "onnxruntime_gpu-" in name:
                packed.extract(name, sys.argv[2])
`;

function run(command, ...args) {
  const { status, error } = spawnSync(command, args, { stdio: ['ignore', 2, 2], timeout: 600_000 });
  if (error || status !== 0)
    throw new Error(
      `${command} ${args[0]} ${args[1] ?? ''}: ${error?.message ?? `ended with ${status}`}`,
    );
}

/** Makes a folder beside its place and moves it there, so that nobody finds half of it. */
function make(folder, fill) {
  if (existsSync(folder)) return;
  const building = `${folder}.${process.pid}`;
  try {
    mkdirSync(building, { recursive: true });
    fill(building);
    renameSync(building, folder);
  } finally {
    rmSync(building, { recursive: true, force: true });
  }
}

function unpackWheels(packages) {
  const wheels = join(packages, 'wheels');
  const download = ['-m', 'pip', 'download', '--quiet', '--no-deps', '--only-binary=:all:'];
  run('python3', ...download, ...PLATFORM, '--dest', wheels, PROVIDER, ...HEADERS);
  run('python3', '-c', UNPACK, wheels, packages);
  rmSync(wheels, { recursive: true });
}

function buildLibraries(libraries) {
  const include = join(folders.packages, 'nvidia', 'cu13', 'include');
  run('bash', join(root, 'packages/engine/src/testing/pretend-cuda/build.sh'), libraries, include);
}

try {
  if (process.platform !== 'linux' || process.arch !== 'x64')
    throw new Error('it needs Linux on x64');
  make(folders.packages, unpackWheels);
  make(folders.libraries, buildLibraries);
  console.log(pretendCudaEnvironment(folders).SPATIALSV_CUDA);
} catch (error) {
  console.error(`The dry run of the device "cuda" is skipped: ${error.message}`);
  process.exitCode = 1;
}
