import { cp, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { hashFile } from '../hash-files.js';
import { LabelStore, labelKey } from '../label-store/index.js';
import type { GeometryLabelsV1, LabelProvenanceV1 } from '../spec.js';
import { withTemporaryFolder } from '../testing/index.js';
import { openStoredLabels, requireCommercialUse, storedLabeller } from './stored-labeller.js';

const provenanceOf = (source: string, settings = {}): LabelProvenanceV1 => ({
  source,
  model: 'wall',
  settings,
  licence: { name: 'CC-BY-NC-4.0', commercialUse: false },
});

/** A wall at a depth of 2, of the asked size. */
const wall = (height: number, width: number, features: boolean): GeometryLabelsV1 => ({
  conventions: {
    axes: 'opencv',
    extrinsics: 'world-to-camera',
    pixelCentre: 'half',
    depth: 'z-depth',
    scale: 'relative',
    world: 'first-camera',
  },
  views: 1,
  height,
  width,
  depth: new Float32Array(height * width).fill(2),
  mask: new Uint8Array(height * width).fill(1),
  intrinsics: Float32Array.of(width, 0, width / 2, 0, width, height / 2, 0, 0, 1),
  extrinsicsWorldToCamera: Float32Array.of(1, 0, 0, 0, 0, 1, 0, 0, 0, 0, 1, 0),
  ...(features && {
    features: { data: Float32Array.of(1, 2, 3, 4), h: 1, w: 2, channels: 2 },
  }),
});

interface Entry {
  readonly provenance?: LabelProvenanceV1;
  readonly size?: readonly [number, number];
  readonly features?: boolean;
}

/** A store with labels of one file, and the file. */
const withStore = (
  entries: readonly Entry[],
  body: (store: LabelStore, image: string, folder: string) => Promise<void>,
): Promise<void> =>
  withTemporaryFolder(async (folder) => {
    const image = join(folder, 'a.png');
    await writeFile(image, 'image');
    const store = await LabelStore.open(join(folder, 'store'));
    const sha256 = await hashFile(image);
    for (const { provenance = provenanceOf('toy'), size = [4, 6], features = false } of entries) {
      const [height, width] = size;
      const key = labelKey({ images: [sha256], provenance, height, width });
      await store.write(key, {
        labels: wall(height, width, features),
        provenance,
        images: [{ path: image, sha256, width: 9, height: 9 }],
        createdAt: '2026-01-01T00:00:00.000Z',
      });
    }
    try {
      await body(store, image, folder);
    } finally {
      await store.close();
    }
  });

describe('labels of a store', () => {
  it('belong to the content of an image, wherever it lies', () =>
    withStore([{}], async (store, image, folder) => {
      const moved = join(folder, 'moved.png');
      await cp(image, moved);
      const labeller = storedLabeller(store, 'toy');
      expect(labeller).toMatchObject({ sourceId: 'toy', provenance: provenanceOf('toy') });
      expect(await labeller.doLabel({ images: [moved] })).toEqual(wall(4, 6, false));
    }));

  it('are not those of an image that lay at the same path before', () =>
    withStore([{}], async (store, image) => {
      const labeller = storedLabeller(store, 'toy');
      await labeller.doLabel({ images: [image] });
      await writeFile(image, 'another image');
      await expect(labeller.doLabel({ images: [image] })).rejects.toMatchObject({
        code: 'DATA_INVALID',
      });
    }));

  it('say whether they have features', async () => {
    await withStore([{}], async (store) =>
      expect(storedLabeller(store).provides).not.toContain('feature'),
    );
    await withStore([{ features: true }], async (store, image) => {
      const labeller = storedLabeller(store);
      expect(labeller.provides).toContain('feature');
      const { features } = await labeller.doLabel({ images: [image] });
      expect(features).toEqual(wall(4, 6, true).features);
    });
  });

  it('are told apart by their arrays, whoever made them and when', async () => {
    const contentOf = async (depth: number, createdAt: string) => {
      let content = '';
      await withStore([{}], async (store, image) => {
        const key = [...store.keys()][0]!;
        const stored = store.read(key)!;
        const labels = { ...stored.labels, depth: stored.labels.depth.map(() => depth) };
        await store.write(key, { ...stored, labels, createdAt });
        content = await storedLabeller(store).contentOf!({ images: [image] });
      });
      return content;
    };
    const first = await contentOf(2, '2026-01-01T00:00:00.000Z');
    expect(first).toMatch(/^[0-9a-f]{64}$/);
    expect(await contentOf(2, '2026-02-02T00:00:00.000Z')).toBe(first);
    expect(await contentOf(3, '2026-01-01T00:00:00.000Z')).not.toBe(first);
    await withStore([{}], async (store, image) => {
      await writeFile(image, 'another image');
      const content = storedLabeller(store).contentOf!({ images: [image] });
      await expect(content).rejects.toMatchObject({ code: 'DATA_INVALID' });
    });
  });

  it('are given in the asked size where it is stored, in the largest otherwise', () =>
    withStore([{ size: [2, 3] }, { size: [8, 12] }, {}], async (store, image) => {
      const labeller = storedLabeller(store);
      const sizeOf = async (size: object) => {
        const { height, width } = await labeller.doLabel({ images: [image], ...size });
        return [height, width];
      };
      expect(await sizeOf({ height: 4, width: 6 })).toEqual([4, 6]);
      expect(await sizeOf({ height: 5, width: 5 })).toEqual([8, 12]);
      expect(await sizeOf({})).toEqual([8, 12]);
    }));

  it('are chosen by the name of their source', () =>
    withStore([{}, { provenance: provenanceOf('other'), size: [2, 2] }], async (store, image) => {
      const labels = await storedLabeller(store, 'other').doLabel({ images: [image] });
      expect(labels.height).toBe(2);
      expect(() => storedLabeller(store)).toThrow(
        expect.objectContaining({ code: 'DATA_INVALID', message: expect.stringContaining('2') }),
      );
      expect(() => storedLabeller(store, 'third')).toThrow(
        expect.objectContaining({ message: expect.stringContaining('other wall') }),
      );
    }));

  it('of several settings are not mixed', () =>
    withStore([{}, { provenance: provenanceOf('toy', { mode: 'pad' }) }], async (store) => {
      expect(() => storedLabeller(store, 'toy')).toThrow(
        expect.objectContaining({ message: expect.stringContaining('"mode":"pad"') }),
      );
    }));

  it('that are not there are named with their images', () =>
    withStore([{}], async (store, image, folder) => {
      const other = join(folder, 'b.png');
      await writeFile(other, 'another image');
      const labeller = storedLabeller(store);
      for (const images of [[other], [image, image]]) {
        await expect(labeller.doLabel({ images })).rejects.toMatchObject({
          code: 'DATA_INVALID',
          message: expect.stringContaining(images[0]!),
          hint: expect.stringContaining('spatialsv label'),
        });
      }
      const signal = AbortSignal.abort();
      await expect(labeller.doLabel({ images: [image], signal })).rejects.toThrow();
    }));

  it('are opened by folder, and closed again', () =>
    withStore([{}], async (store, image) => {
      const labeller = await openStoredLabels(store.folder, 'toy');
      expect((await labeller.doLabel({ images: [image] })).views).toBe(1);
      await labeller.dispose();
      await expect(openStoredLabels(store.folder, 'third')).rejects.toMatchObject({
        code: 'DATA_INVALID',
      });
    }));

  it('are refused for commercial use where their licence does not allow it', () =>
    withStore([{}], async (store) => {
      expect(() => requireCommercialUse(storedLabeller(store))).toThrow(
        expect.objectContaining({ message: expect.stringContaining('CC-BY-NC-4.0') }),
      );
    }));
});
