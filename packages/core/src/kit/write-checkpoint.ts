import { mkdir } from 'node:fs/promises';
import path from 'node:path';
import { writeFileAtomic } from '../files.js';
import type { JsonObject } from '../json.js';
import { saveWeights, type TensorSources } from '../safetensors/index.js';

/** Content of a checkpoint folder. */
export interface CheckpointFiles {
  /** JSON files by name. */
  readonly files: Readonly<Record<string, JsonObject>>;
  /** Other text files by name. */
  readonly texts?: Readonly<Record<string, string>>;
  readonly weights: TensorSources;
}

/** Writes a checkpoint folder, made where it does not exist. */
export async function writeCheckpointFolder(
  folder: string,
  { files, texts = {}, weights }: CheckpointFiles,
): Promise<void> {
  await mkdir(folder, { recursive: true });
  for (const [name, content] of Object.entries(files)) {
    await writeFileAtomic(path.join(folder, name), `${JSON.stringify(content, null, 2)}\n`);
  }
  for (const [name, text] of Object.entries(texts)) {
    await writeFileAtomic(path.join(folder, name), text);
  }
  await saveWeights(folder, weights);
}
