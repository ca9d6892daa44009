import path from 'node:path';
import { openWeights } from '@spatialsv/core/kit';
import { withTemporaryFolder } from '@spatialsv/core/testing';
import { llavaNextVideoSiglip } from './adapter.js';
import { NAMES } from './names.js';
import { type NextVideoSiglipTinyOptions, writeTinyNextVideoSiglip } from './tiny-checkpoint.js';

const small = { hiddenSize: 32, layers: 2, vision: { depth: 3, hiddenSize: 32, heads: 2 } };

const write = (folder: string, options: Partial<NextVideoSiglipTinyOptions> = {}) =>
  writeTinyNextVideoSiglip({ folder, seed: 1, ...small, ...options });

const { vision: VISION, newline: NEWLINE } = NAMES;
const LAST_BLOCK = `${VISION}.encoder.layers.2.mlp.fc1.bias`;

describe('a file with the block that never runs', () => {
  it('opens as one without it, and keeps it', () =>
    withTemporaryFolder(async (folder) => {
      const [plain, whole] = [path.join(folder, 'plain'), path.join(folder, 'whole')];
      await write(plain);
      await write(whole, { lastBlock: true });
      const models = await Promise.all([plain, whole].map((at) => llavaNextVideoSiglip.open(at)));
      expect(models.map(({ config }) => config.visionBlocks)).toEqual([2, 2]);
      expect(Object.keys(models[1]!.weights)).toEqual(Object.keys(models[0]!.weights));
      const target = path.join(folder, 'target');
      await models[1]!.save(target, new Map([[NEWLINE, new Float32Array(32).fill(0.5)]]));
      const [before, after] = [await openWeights(whole), await openWeights(target)];
      expect(after.names).toEqual(before.names);
      for (const name of [LAST_BLOCK, `${VISION}.post_layernorm.weight`])
        expect(await after.readRaw(name)).toEqual(await before.readRaw(name));
      expect((await after.readFloat32(NEWLINE))[0]).toBe(0.5);
      expect((await openWeights(plain)).names).not.toContain(LAST_BLOCK);
    }));
});

describe('the newline', () => {
  it('is left unread where no frame ends with one, and kept', () =>
    withTemporaryFolder(async (folder) => {
      await write(folder, { settings: { newline: 'no_token' } });
      const model = await llavaNextVideoSiglip.open(folder);
      expect(Object.keys(model.weights)).not.toContain(NEWLINE);
      await model.save(path.join(folder, 'target'), new Map());
      expect((await openWeights(path.join(folder, 'target'))).names).toContain(NEWLINE);
      const set = await llavaNextVideoSiglip.open(folder, { settings: { newline: 'frame' } });
      expect(Object.keys(set.weights)).toContain(NEWLINE);
    }));
});
