import { existsSync } from 'node:fs';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { checkLabels, createRandom, writePng } from '@spatialsv/core/kit';
import type { LabellerV1 } from '@spatialsv/core/spec';
import { describeLabelSource } from '@spatialsv/core/testing';
import { parseDa3Config } from './da3-config.js';
import plugin, { da3Source } from './plugin.js';
import { type TinyConfig, type TinyNetwork, tinyConfigFile } from './testing/tiny-config.js';
import { writeRandomWeights, writeTiny } from './tiny-weights.js';

const photographs = path.resolve(__dirname, '../../../../shared/data/real-views');
if (!existsSync(photographs)) console.warn(`skipped, missing: ${photographs}`);

const SHAPE = {
  channels: 32,
  heads: 2,
  mlp: 'mlp',
  features: 16,
  stages: [8, 16, 24, 24],
} as const;
const SINGLE: TinyNetwork = { kind: 'mono', depth: 4, start: -1, taps: [0, 1, 2, 3], ...SHAPE };
const DUAL: TinyNetwork = {
  kind: 'dual',
  depth: 4,
  start: 2,
  taps: [0, 1, 2, 3],
  cameraHeads: 4,
  cameraDepth: 1,
  ...SHAPE,
};

let root: string;
let weights: string;
let images: string[];

const prepare = async (): Promise<void> => {
  root = await mkdtemp(path.join(tmpdir(), 'dav3-source-'));
  weights = path.join(root, 'tiny');
  await writeTiny({ folder: weights, seed: 7 });
  const random = createRandom(1);
  const written = [
    [80, 60],
    [80, 60],
    [50, 90],
  ].map(async ([width, height], view) => {
    const data = Uint8Array.from({ length: width! * height! * 3 }, () => random.integer(256));
    const file = path.join(root, `${view}.png`);
    await writePng(file, data, { width: width!, height: height!, channels: 3 });
    return file;
  });
  images = await Promise.all(written);
};

const prepared = prepare();
afterAll(() => rm(root, { recursive: true }));

const withLabeller = async (
  settings: Readonly<Record<string, unknown>>,
  body: (labeller: LabellerV1) => Promise<void>,
  folder?: string,
): Promise<void> => {
  await prepared;
  const labeller = await da3Source.open({ weights: folder ?? weights, settings });
  await body(labeller);
  await labeller.dispose();
};

/** A random checkpoint of another kind. */
const writeKind = async (modelName: string, tiny: TinyConfig): Promise<string> => {
  await prepared;
  const folder = path.join(root, modelName);
  const config = parseDa3Config({ ...tinyConfigFile(tiny), model_name: modelName });
  await writeRandomWeights(folder, config, 3);
  return folder;
};

describeLabelSource(async () => {
  await prepared;
  return {
    source: da3Source,
    open: { weights, settings: { resolution: 56 } },
    images: images.slice(0, 2),
    // Random weights see no scene: their cameras stay near the first one and their depth near 1.
    reprojectionTolerance: 0.1,
    precisionTolerance: 2e-2,
  };
});

describe('the plugin', () => {
  it('contributes the source under the id dav3', () => {
    expect(plugin.contributions()).toMatchObject([
      { specificationVersion: 'v1', kind: 'label-source', id: 'dav3' },
    ]);
  });
});

describe('the source dav3', () => {
  it('says which weights made its labels, how, and under which licence', () =>
    withLabeller({}, async ({ provenance, provides }) => {
      expect(provenance).toMatchObject({
        source: 'dav3',
        model: 'da3-tiny',
        settings: {
          resolution: 504,
          method: 'upper_bound_resize',
          referenceView: 'saddle_balanced',
          cameras: 'decoder',
          features: 'last-tap',
        },
        licence: { name: 'unknown', commercialUse: false },
        weightsSha256: expect.stringMatching(/^[0-9a-f]{64}$/),
      });
      expect(provides).toContain('feature');
    }));

  it('takes another licence from who knows better', () => {
    const licence = { name: 'commercial agreement', commercialUse: true };
    return withLabeller({ licence }, async ({ provenance }) => {
      expect(provenance.licence).toEqual(licence);
      expect(provenance.settings).not.toHaveProperty('licence');
    });
  });

  it('gives labels of any size', () =>
    withLabeller({ resolution: 70 }, async (labeller) => {
      const own = await labeller.doLabel({ images: images.slice(0, 2) });
      expect(own).toMatchObject({ views: 2, height: 56, width: 70 });
      expect(own.features).toMatchObject({ h: 4, w: 5, channels: 64 });
      const size = { height: 30, width: 40 };
      const asked = await labeller.doLabel({ images: images.slice(0, 2), ...size });
      expect(asked).toMatchObject(size);
      expect(asked.intrinsics[0]! / own.intrinsics[0]!).toBeCloseTo(40 / 70, 5);
      expect(asked.intrinsics[2]).toBeCloseTo(20, 4);
    }));

  it.each(['upper_bound_resize', 'lower_bound_crop'])(
    'labels wide and tall images together by %s, and masks what was cut off',
    (method) =>
      withLabeller({ method, resolution: 70 }, async (labeller) => {
        const labels = await labeller.doLabel({ images, height: 45, width: 50 });
        checkLabels(labels, 'dav3');
        const pixels = 45 * 50;
        const seen = [0, 1, 2].map(
          (view) =>
            labels.mask.subarray(view * pixels, (view + 1) * pixels).reduce((a, b) => a + b, 0) /
            pixels,
        );
        expect(seen[0]).toBe(seen[1]);
        for (const share of seen) expect(share).toBeGreaterThan(0.5);
        expect(Math.min(...seen)).toBeLessThan(1);
        expect(labels.intrinsics[2]).toBeCloseTo(25, 0);
      }),
  );

  it('gives features as asked', async () => {
    await withLabeller({ features: 'norm', resolution: 56 }, async (labeller) => {
      const { features } = await labeller.doLabel({ images });
      expect(features!.channels).toBe(32);
    });
    await withLabeller({ features: false, resolution: 56 }, async (labeller) => {
      expect(labeller.provides).not.toContain('feature');
      expect(await labeller.doLabel({ images })).not.toHaveProperty('features');
    });
  });

  it('is in metres with nested weights', async () => {
    const folder = await writeKind('da3nested-tiny', { anyview: DUAL, metric: SINGLE });
    await withLabeller(
      { resolution: 56 },
      async (labeller) => {
        const labels = await labeller.doLabel({ images: images.slice(0, 2) });
        checkLabels(labels, 'dav3');
        expect(labels.conventions.scale).toBe('metric-metres');
      },
      folder,
    );
  });

  it('labels single images with metric weights and a known field of view', async () => {
    const folder = await writeKind('da3metric-tiny', SINGLE);
    const settings = { resolution: 56, fieldOfViewDeg: 60 };
    await withLabeller(
      settings,
      async (labeller) => {
        const labels = await labeller.doLabel({ images: images.slice(0, 1) });
        checkLabels(labels, 'dav3');
        expect(labels.conventions.scale).toBe('metric-metres');
        expect(labels.intrinsics[0]).toBeCloseTo(labels.width / 2 / Math.tan(Math.PI / 6), 3);
        await expect(labeller.doLabel({ images })).rejects.toMatchObject({
          code: 'DATA_INVALID',
        });
      },
      folder,
    );
    await expect(da3Source.open({ weights: folder })).rejects.toMatchObject({
      code: 'CONFIG_INVALID',
    });
  });

  it.each([
    { resolution: 7 },
    { method: 'squash' },
    { cameras: 'none' },
    { fieldOfViewDeg: 60 },
    { unknown: 1 },
  ])('refuses the settings %j', async (settings) => {
    await prepared;
    await expect(da3Source.open({ weights, settings })).rejects.toMatchObject({
      code: 'CONFIG_INVALID',
    });
  });

  it('asks for weights', async () => {
    await expect(da3Source.open()).rejects.toMatchObject({ code: 'USAGE' });
    const empty = path.join(root, 'empty');
    await expect(da3Source.open({ weights: empty })).rejects.toMatchObject({
      code: 'FILE_MISSING',
    });
  });

  it('stops between views', async () => {
    await withLabeller({ resolution: 56 }, async (labeller) => {
      const controller = new AbortController();
      const labels = labeller.doLabel({ images, signal: controller.signal });
      setImmediate(() => controller.abort(new Error('enough')));
      await expect(labels).rejects.toThrow('enough');
    });
  });

  it('refuses a file that is no image', async () => {
    await withLabeller({}, async (labeller) => {
      const file = path.join(root, 'text.png');
      await writeFile(file, 'no image');
      await expect(labeller.doLabel({ images: [file] })).rejects.toMatchObject({
        code: 'IMAGE_INVALID',
      });
    });
  });
});

describe('real photographs', () => {
  const folder = path.join(photographs, 'opensfm-berlin');
  const berlin = ['01', '02', '03'].map((name) => path.join(folder, `${name}.jpg`));
  const onPhotographs = berlin.every(existsSync) ? it : it.skip;

  onPhotographs('become labels (skipped without ../shared/data)', () =>
    withLabeller({ resolution: 140 }, async (labeller) => {
      const labels = await labeller.doLabel({ images: berlin });
      checkLabels(labels, 'dav3');
      expect(labels).toMatchObject({ views: 3, height: 112, width: 140 });
    }),
  );
});
