// Writes the checkpoint folders (without weights) that the golden scripts read. Needs a built workspace.
// usage: node reference/llava-onevision/write_folders.mjs
import { readFile, rm } from 'node:fs/promises';
import { fileURLToPath } from 'node:url';
import { llavaOneVision, llavaOneVision15 } from '../../packages/adapter-llava/dist/index.js';

for (const [name, adapter] of [
  ['onevision', llavaOneVision],
  ['onevision-15', llavaOneVision15],
]) {
  const golden = fileURLToPath(
    new URL(`../../packages/adapter-llava/src/${name}/__golden__/`, import.meta.url),
  );
  const options = JSON.parse(await readFile(`${golden}options.json`, 'utf8'));
  await adapter.writeTiny({ ...options, folder: `${golden}checkpoint` });
  // The weights are a function of name and index (reference/backbones/golden.py), so they are not kept.
  await rm(`${golden}checkpoint/model.safetensors`);
}
