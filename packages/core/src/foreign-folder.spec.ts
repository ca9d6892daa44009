import { mkdir, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { readCheckpointConfig } from './checkpoint-folder.js';
import { recogniseFolder } from './foreign-folder.js';
import { withTemporaryFolder } from './testing/temporary-folder.js';

/** A folder with empty files of these names; a name that ends with `/` is a folder. */
const withNames = (names: readonly string[], use: (folder: string) => Promise<void>) =>
  withTemporaryFolder(async (folder) => {
    for (const name of names) {
      const place = path.join(folder, name);
      await mkdir(name.endsWith('/') ? place : path.dirname(place), { recursive: true });
      if (!name.endsWith('/')) await writeFile(place, '');
    }
    await use(folder);
  });

describe('a folder that is no checkpoint', () => {
  it.each<[readonly string[], RegExp, RegExp]>([
    [['adapter_config.json', 'adapter_model.safetensors'], /LoRA/, /merge_and_unload/],
    [['model-Q4_K_M.gguf', 'mmproj.gguf'], /GGUF/, /safetensors/],
    [['model_index.json', 'unet/', 'vae/'], /diffusers/, /no language model/],
    [['pytorch_model.bin', 'tokenizer.json'], /pickled/, /save_pretrained/],
    [['pytorch_model-00001-of-00002.bin', 'pytorch_model.bin.index.json'], /pickled/, /save_/],
    [['consolidated.00.pth'], /pickled/, /save_pretrained/],
    [['global_step100/', 'zero_to_fp32.py'], /DeepSpeed/, /zero_to_fp32/],
    [['__0_0.distcp'], /FSDP/, /merge-weights/],
    [['onnx/', 'tokenizer.json'], /ONNX/, /safetensors/],
    [['tf_model.h5'], /TensorFlow/, /safetensors/],
    [['blobs/', 'refs/', 'snapshots/abc/config.json'], /cache/, /snapshots.abc/],
    [['checkpoint-50/', 'checkpoint-1000/', 'runs/'], /training run/, /checkpoint-1000/],
    [['checkpoints/step-8/', 'checkpoints/step-16/'], /training run/, /step-16/],
    [['model.safetensors.incomplete'], /not complete/, /again/],
  ])('%p is named', (names, what, hint) =>
    withNames(names, async (folder) => {
      await expect(readCheckpointConfig(folder)).rejects.toMatchObject({
        code: 'FILE_MISSING',
        message: expect.stringMatching(what),
        hint: expect.stringMatching(hint),
      });
    }),
  );

  it.each([
    ['weights.zip', /archive/, /Unpack/],
    ['model.safetensors', /file of a checkpoint/, /Name its folder/],
    ['model.gguf', /file of their own/, /safetensors/],
  ])('%p is named, where a file was given', (name, what, hint) =>
    withNames([name], (folder) =>
      expect(readCheckpointConfig(path.join(folder, name))).rejects.toMatchObject({
        message: expect.stringMatching(what),
        hint: expect.stringMatching(hint),
      }),
    ),
  );

  it('is said to be what it holds where nothing tells', () =>
    withNames(['a.txt'], async (folder) => {
      expect(await recogniseFolder(folder)).toBeUndefined();
      await expect(readCheckpointConfig(folder)).rejects.toMatchObject({
        message: expect.stringContaining('a.txt'),
      });
    }));
});
