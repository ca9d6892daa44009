import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { createRandom, type GeometryLabelsV1, type LabellerV1, writePng } from '@spatialsv/core';

const SIZE = 8;

/** Writes `count` two-view questions with noise images. @returns the dataset's path. */
export async function writeToyDataset(folder: string, count: number): Promise<string> {
  const random = createRandom(5);
  const lines: string[] = [];
  for (let index = 0; index < count; index++) {
    const images = [`${index}-a.png`, `${index}-b.png`];
    for (const image of images) {
      const data = Uint8Array.from({ length: 3 * SIZE * SIZE }, () => random.integer(256));
      await writePng(join(folder, image), data, { height: SIZE, width: SIZE, channels: 3 });
    }
    const options = { A: 'left', B: 'right' };
    const answer = random.pick(['A', 'B']);
    lines.push(
      JSON.stringify({ id: `q${index}`, images, question: `where ${index}`, options, answer }),
    );
  }
  const path = join(folder, 'data.jsonl');
  await writeFile(path, `${lines.join('\n')}\n`);
  return path;
}

/** Labels of a slanted wall seen by two cameras side by side; the same for every view set. */
export function toyLabels(views: number): GeometryLabelsV1 {
  const pixels = SIZE * SIZE;
  const extrinsics = Array.from({ length: views }, (_, view) => [
    ...[1, 0, 0, -0.5 * view],
    ...[0, 1, 0, 0],
    ...[0, 0, 1, 0],
  ]);
  const intrinsics = [SIZE, 0, SIZE / 2, 0, SIZE, SIZE / 2, 0, 0, 1];
  return {
    conventions: {
      axes: 'opencv',
      extrinsics: 'world-to-camera',
      pixelCentre: 'half',
      depth: 'z-depth',
      scale: 'metric-metres',
      world: 'first-camera',
    },
    views,
    height: SIZE,
    width: SIZE,
    depth: Float32Array.from({ length: views * pixels }, (_, i) => 2 + 0.1 * (i % SIZE)),
    mask: Uint8Array.from({ length: views * pixels }, (_, i) => (i % 7 === 0 ? 0 : 1)),
    intrinsics: Float32Array.from(Array(views).fill(intrinsics).flat()),
    extrinsicsWorldToCamera: Float32Array.from(extrinsics.flat()),
    features: {
      data: createRandom(9).normals(views * 4 * 4 * 5),
      h: 4,
      w: 4,
      channels: 5,
    },
  };
}

export const toySource: LabellerV1 = {
  sourceId: 'toy',
  provides: ['depth', 'camera', 'feature'],
  provenance: {
    source: 'toy',
    model: 'toy',
    settings: {},
    licence: { name: 'Apache-2.0', commercialUse: true },
  },
  dispose: async () => undefined,
  doLabel: async ({ images }) => toyLabels(images.length),
};
