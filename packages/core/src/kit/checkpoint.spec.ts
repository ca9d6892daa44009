import { rm, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { sizeOf } from '@spatialsv/engine';
import type { SpatialError } from '../errors.js';
import { findingsOf } from '../finding.js';
import {
  float32Source,
  openWeights,
  saveWeights,
  type TensorSource,
  writeSafetensors,
} from '../safetensors/index.js';
import { withTemporaryFolder } from '../testing/temporary-folder.js';
import { type CheckpointContent, checkpointFolder, openCheckpoint, renamed } from './checkpoint.js';

const shapes = { 'table.weight': [2, 3], 'head.weight': [2, 3], 'norm.weight': [3] };
const tied = { name: 'head.weight', source: 'table.weight', isTied: true };
const short = (name: string) => name.replace(/^model\./, '');
const content: CheckpointContent = { shapes, names: renamed(short), tied };

const values = (first: number, ...shape: number[]) => {
  const size = sizeOf(shape);
  return float32Source(
    Float32Array.from({ length: size }, (_, i) => first + i),
    shape,
  );
};

const table = values(1, 2, 3);
const norm = values(5, 3);

const withWeights = (
  tensors: Readonly<Record<string, TensorSource>>,
  use: (folder: string) => Promise<void>,
) =>
  withTemporaryFolder(async (folder) => {
    await saveWeights(folder, new Map(Object.entries(tensors)));
    await use(folder);
  });

const refused = (folder: string, code: string, message: string, hint = '') =>
  expect(openCheckpoint(folder, content)).rejects.toMatchObject({
    code,
    message: expect.stringContaining(message),
    hint: expect.stringContaining(hint),
  });

describe('openCheckpoint', () => {
  it('maps names of the file to published ones, and writes those of the file again', () =>
    withWeights({ 'model.table.weight': table, 'model.norm.weight': norm }, async (folder) => {
      const opened = await openCheckpoint(folder, content);
      expect(Object.keys(opened.weights).sort()).toEqual(['norm.weight', 'table.weight']);
      const target = path.join(folder, 'target');
      await opened.save(target, new Map([['norm.weight', Float32Array.of(7, 8, 9)]]));
      const saved = await openWeights(target);
      expect([...(await saved.readFloat32('model.norm.weight'))]).toEqual([7, 8, 9]);
      expect([...(await saved.readFloat32('model.table.weight'))]).toEqual([1, 2, 3, 4, 5, 6]);
    }));

  it('takes a matrix that is not stored, or repeats its source, for the source', async () => {
    await withWeights({ 'table.weight': table, 'norm.weight': norm }, async (folder) => {
      expect((await openCheckpoint(folder, content)).isTied).toBe(true);
    });
    const copy = { 'table.weight': table, 'head.weight': table, 'norm.weight': norm };
    await withWeights(copy, async (folder) => {
      const opened = await openCheckpoint(folder, content);
      expect(opened.isTied).toBe(true);
      expect(Object.keys(opened.weights)).not.toContain('head.weight');
      const target = path.join(folder, 'target');
      await opened.save(target, new Map([['table.weight', new Float32Array(6).fill(2)]]));
      const head = await (await openWeights(target)).readFloat32('head.weight');
      expect([...head]).toEqual([2, 2, 2, 2, 2, 2]);
    });
  });

  it('keeps a matrix with values of its own, whatever the configuration says', () => {
    const own = { 'table.weight': table, 'head.weight': values(9, 2, 3), 'norm.weight': norm };
    return withWeights(own, async (folder) => {
      for (const isTied of [true, false]) {
        const opened = await openCheckpoint(folder, { ...content, tied: { ...tied, isTied } });
        expect(opened.isTied).toBe(false);
        expect(Object.keys(opened.weights)).toContain('head.weight');
      }
    });
  });

  it('asks for a matrix that the configuration does not tie', () =>
    withWeights({ 'table.weight': table, 'norm.weight': norm }, async (folder) => {
      const untied = { ...content, tied: { ...tied, isTied: false } };
      await expect(openCheckpoint(folder, untied)).rejects.toMatchObject({
        code: 'WEIGHT_MISSING',
        message: expect.stringContaining('head.weight'),
      });
    }));

  it('leaves buffers and what the model is said not to read alone', () => {
    const more = {
      ...{ 'table.weight': table, 'norm.weight': norm },
      ...{ 'rotary_emb.inv_freq': norm, 'track.weight': norm },
    };
    return withWeights(more, async (folder) => {
      const isUnread = (name: string) => name.startsWith('track.');
      const { weights } = await openCheckpoint(folder, { ...content, isUnread });
      expect(Object.keys(weights)).toHaveLength(2);
    });
  });

  it('names what is missing and the nearest name, a wrong shape, and one tensor under two names', async () => {
    await withWeights({ 'table.weight': table, 'nrom.weight': norm }, (folder) =>
      refused(folder, 'WEIGHT_MISSING', 'norm.weight', 'nrom.weight'),
    );
    await withWeights({ 'table.weight': table, 'norm.weight': values(1, 4) }, (folder) =>
      refused(folder, 'SHAPE_MISMATCH', 'norm.weight: expected (3) by config.json, found (4)'),
    );
    const twice = { 'table.weight': table, 'norm.weight': norm, 'model.norm.weight': norm };
    await withWeights(twice, (folder) =>
      refused(folder, 'WEIGHT_UNEXPECTED', 'norm.weight and model.norm.weight'),
    );
  });

  it('passes over a tensor of another kind, and says so', () =>
    withWeights(
      { 'table.weight': table, 'norm.weight': norm, 'v_head.summary.weight': norm },
      async (folder) => {
        const { findings, weights } = await openCheckpoint(folder, content);
        expect(Object.keys(weights)).toHaveLength(2);
        expect(findings).toMatchObject([
          { severity: 'warning', what: expect.stringContaining('v_head.summary.weight') },
        ]);
      },
    ));

  it('refuses a layer too many, and updates that were not merged', async () => {
    const layers = { shapes: { 'layers.0.weight': [3], 'layers.1.weight': [3] } };
    const three = { 'layers.0.weight': norm, 'layers.1.weight': norm, 'layers.2.weight': norm };
    await withWeights(three, (folder) =>
      expect(openCheckpoint(folder, layers)).rejects.toMatchObject({
        code: 'WEIGHT_UNEXPECTED',
        message: expect.stringContaining('layers.2.weight'),
      }),
    );
    const lora = { 'table.weight': table, 'norm.weight': norm, 'norm.lora_A.weight': norm };
    await withWeights(lora, (folder) => refused(folder, 'WEIGHT_UNEXPECTED', 'lora_A', 'peft'));
  });

  it('finds every difference at once', () =>
    withWeights(
      {
        'table.weight': values(0, 3, 2),
        'head.weight': { ...values(0, 2, 3), dtype: 'I32', bytes: () => new Uint8Array(24) },
        'v_head.weight': norm,
        'lora.lora_B.weight': norm,
      },
      async (folder) => {
        const untied = { ...content, tied: { ...tied, isTied: false } };
        const error = await openCheckpoint(folder, untied).catch((thrown: SpatialError) => thrown);
        expect(findingsOf(error as SpatialError)).toMatchObject([
          { code: 'SHAPE_MISMATCH', what: 'table.weight', expected: '(2, 3) by config.json' },
          { code: 'DTYPE_UNSUPPORTED', what: 'head.weight', found: 'I32' },
          { code: 'WEIGHT_MISSING', expected: 'the tensor norm.weight' },
          { code: 'WEIGHT_UNEXPECTED', severity: 'error' },
          { code: 'WEIGHT_UNEXPECTED', severity: 'warning' },
        ]);
      },
    ));

  it('reads model.safetensors beside an index, and says what was passed over', () =>
    withWeights({ 'table.weight': table, 'norm.weight': norm }, async (folder) => {
      const older = new Map([['norm.weight', values(0, 3)]]);
      await writeSafetensors(path.join(folder, 'model-00001-of-00001.safetensors'), older);
      const index = { weight_map: { 'norm.weight': 'model-00001-of-00001.safetensors' } };
      await writeFile(path.join(folder, 'model.safetensors.index.json'), JSON.stringify(index));
      const { findings } = await openCheckpoint(folder, content);
      expect(findings).toMatchObject([
        {
          severity: 'warning',
          what: expect.stringMatching(
            /model-00001-of-00001.safetensors, model.safetensors.index.json/,
          ),
        },
      ]);
    }));

  it.each([
    [{ quant_method: 'bitsandbytes', load_in_4bit: true }, 'bitsandbytes'],
    [{ quant_method: 'awq', bits: 4 }, 'AWQ'],
    [{ quant_method: 'gptq', bits: 4 }, 'GPTQ'],
    [{ quant_method: 'fp8' }, 'FP8'],
    [{ quant_method: 'other' }, '"other"'],
  ])('names how weights are quantised: %p', async (quantization_config, name) => {
    const packed = { ...values(0, 2, 3), dtype: 'U8' as const, bytes: () => new Uint8Array(6) };
    const config = JSON.stringify({ quantization_config });
    await withWeights(
      { 'table.weight': packed, 'table.weight.absmax': norm, 'norm.weight': norm },
      async (folder) => {
        await writeFile(path.join(folder, 'config.json'), config);
        await refused(folder, 'DTYPE_UNSUPPORTED', `quantised by ${name}`, 'dequantize');
      },
    );
    await withWeights({ 'table.weight': table, 'norm.weight': norm }, async (folder) => {
      await writeFile(path.join(folder, 'config.json'), config);
      const { findings } = await openCheckpoint(folder, content);
      expect(findings).toMatchObject([{ severity: 'warning', code: 'CONFIG_INVALID' }]);
    });
  });

  it('names FP8 weights, whose type is unknown', () =>
    withTemporaryFolder(async (folder) => {
      const header = { x: { dtype: 'F8_E4M3', shape: [1], data_offsets: [0, 1] } };
      const text = JSON.stringify(header);
      const length = Buffer.alloc(8);
      length.writeUInt32LE(text.length);
      const file = Buffer.concat([length, Buffer.from(text), Buffer.alloc(1)]);
      await writeFile(path.join(folder, 'model.safetensors'), file);
      await refused(folder, 'DTYPE_UNSUPPORTED', 'F8_E4M3');
      const config = { quantization_config: { quant_method: 'fp8' } };
      await writeFile(path.join(folder, 'config.json'), JSON.stringify(config));
      await refused(folder, 'DTYPE_UNSUPPORTED', 'quantised by FP8', 'dequantize');
    }));

  it('does not read a model without the adapter that lies beside it', () =>
    withWeights({ 'table.weight': table, 'norm.weight': norm }, async (folder) => {
      const adapter = { base_model_name_or_path: 'Qwen/Qwen2.5-VL-3B-Instruct' };
      await writeFile(path.join(folder, 'adapter_config.json'), JSON.stringify(adapter));
      await refused(
        folder,
        'FILE_MISSING',
        'LoRA adapter of "Qwen/Qwen2.5-VL-3B-Instruct"',
        'peft',
      );
    }));

  it('says that pickled weights are not read', () =>
    withWeights({ 'table.weight': table }, async (folder) => {
      const weights = path.join(folder, 'model.safetensors');
      expect(await checkpointFolder(weights)).toBe(folder);
      expect(await checkpointFolder(folder)).toBe(folder);
      await rm(weights);
      await refused(folder, 'FILE_MISSING', 'model.safetensors');
      const pickle = path.join(folder, 'pytorch_model.bin');
      await writeFile(pickle, '');
      await refused(folder, 'FILE_MISSING', 'pytorch_model.bin', 'model.safetensors');
      await expect(checkpointFolder(pickle)).rejects.toMatchObject({ code: 'FILE_MISSING' });
    }));
});
