// Writes the checkpoint folders (without weights) that make_golden.py reads. Needs a built workspace.
// usage: node reference/internvl3/write_folder.mjs
import { readFile, rm } from 'node:fs/promises';
import { fileURLToPath } from 'node:url';
import { internVl3 } from '../../packages/adapter-internvl3/dist/index.js';

const golden = fileURLToPath(
  new URL('../../packages/adapter-internvl3/src/__golden__/', import.meta.url),
);
const options = JSON.parse(await readFile(`${golden}options.json`, 'utf8'));
for (const layout of ['native', 'original']) {
  await internVl3.writeTiny({ ...options, layout, folder: `${golden}${layout}` });
  // The weights are a function of name and index (make_golden.py), so they are not kept.
  await rm(`${golden}${layout}/model.safetensors`);
}
