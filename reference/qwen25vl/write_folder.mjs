// Writes the checkpoint folder (without weights) that make_golden.py reads. Needs a built workspace.
// usage: node reference/qwen25vl/write_folder.mjs
import { readFile, rm } from 'node:fs/promises';
import { fileURLToPath } from 'node:url';
import { qwen25Vl } from '../../packages/adapter-qwen25vl/dist/index.js';

const golden = fileURLToPath(
  new URL('../../packages/adapter-qwen25vl/src/__golden__/', import.meta.url),
);
const options = JSON.parse(await readFile(`${golden}options.json`, 'utf8'));
await qwen25Vl.writeTiny({ ...options, folder: `${golden}checkpoint` });
// The weights are a function of name and index (make_golden.py), so they are not kept.
await rm(`${golden}checkpoint/model.safetensors`);
