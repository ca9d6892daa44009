// Writes the checkpoint folders (without weights) that the scripts make_golden.py read. Needs a built workspace.
// usage: node reference/llava-next-video/write_folders.mjs
import { readFile, rm } from 'node:fs/promises';
import { fileURLToPath } from 'node:url';
import { llavaNextVideo, llavaNextVideoSiglip } from '../../packages/adapter-llava/dist/index.js';

for (const [family, adapter] of [
  ['next-video', llavaNextVideo],
  ['next-video-siglip', llavaNextVideoSiglip],
]) {
  const golden = fileURLToPath(
    new URL(`../../packages/adapter-llava/src/${family}/__golden__/`, import.meta.url),
  );
  const options = JSON.parse(await readFile(`${golden}options.json`, 'utf8'));
  await adapter.writeTiny({ ...options, folder: `${golden}checkpoint` });
  // The weights are a function of name and index (reference/backbones/golden.py), so they are not kept.
  await rm(`${golden}checkpoint/model.safetensors`);
}
