/** Where the parts of the dry run of the device `cuda` are kept in the user's cache. */
const { createHash } = require('node:crypto');
const { readdirSync, readFileSync } = require('node:fs');
const os = require('node:os');
const { join } = require('node:path');

/**
 * Folders of the wheels' files, by the version of ONNX Runtime, and of the pretend libraries, by the state of their sources.
 */
function pretendCudaFolders(version) {
  const cache = process.env.XDG_CACHE_HOME ?? join(os.homedir(), '.cache');
  const folder = join(cache, 'spatialsv', 'pretend-cuda', version);
  const hash = createHash('sha256');
  for (const name of readdirSync(__dirname).sort()) {
    if (/\.(c|h|sh)$/.test(name)) hash.update(readFileSync(join(__dirname, name)));
  }
  const libraries = join(folder, `libraries-${hash.digest('hex').slice(0, 12)}`);
  return { packages: join(folder, 'packages'), libraries };
}

/** Environment of a process that takes the pretend GPUs for real ones. */
const pretendCudaEnvironment = ({ packages, libraries }) => ({
  SPATIALSV_CUDA: [libraries, packages].join(':'),
});

module.exports = { pretendCudaFolders, pretendCudaEnvironment };
