import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { type GeometryConventionsV1, type RgbImage, writePng } from '@spatialsv/core';
import type { LabelSet } from '../labels/label-set.js';
import { type TestScene, testScene } from '../test-scene.js';

/** Side of a pixel of the labels in pixels of the images, across and down. */
const ZOOM = { x: 4, y: 3 };

/**
 * Labels of the {@link testScene}, and its images on disk, larger than the labels. One pixel of view 0 is not valid.
 * @param pixelCentre convention in which the intrinsics are given; the geometry is the same.
 */
export async function testLabels(
  folder: string,
  pixelCentre: GeometryConventionsV1['pixelCentre'] = 'half',
): Promise<LabelSet> {
  const scene = testScene(3);
  const mask = new Uint8Array(scene.depth.length).fill(1);
  mask[5] = 0;
  const shift = pixelCentre === 'integer' ? 0.5 : 0;
  const { views, height, width, depth, confidence, cameras } = scene;
  return {
    key: 'ab'.repeat(32),
    images: await writeImages(scene, folder),
    provenance: {
      source: 'test',
      model: 'box',
      settings: {},
      licence: { name: 'Apache-2.0', commercialUse: true },
    },
    labels: {
      conventions: { ...scene.conventions, pixelCentre },
      views,
      height,
      width,
      depth,
      mask,
      depthConfidence: confidence,
      intrinsics: Float32Array.from(
        cameras.flatMap(({ intrinsics }) => [...intrinsics]),
        (value, i) => ([2, 5].includes(i % 9) ? value - shift : value),
      ),
      extrinsicsWorldToCamera: Float32Array.from(
        cameras.flatMap(({ extrinsicsWorldToCamera }) => [...extrinsicsWorldToCamera]),
      ),
      features: {
        data: Float32Array.from({ length: views * 12 }, (_, i) => i),
        h: 2,
        w: 3,
        channels: 2,
      },
    },
  };
}

async function writeImages({ images }: TestScene, folder: string) {
  const written: { path: string; width: number; height: number }[] = [];
  for (const [view, image] of images.entries()) {
    const { data, height, width } = enlarged(image);
    const path = join(folder, `room-${view % 2}`, `${view}.png`);
    mkdirSync(join(folder, `room-${view % 2}`), { recursive: true });
    await writePng(path, data, { height, width, channels: 3 });
    written.push({ path, width, height });
  }
  return written;
}

function enlarged({ data, height, width }: RgbImage): RgbImage {
  const size = { height: height * ZOOM.y, width: width * ZOOM.x };
  const pixels = Array.from({ length: size.height * size.width }, (_, i) => {
    const column = Math.floor((i % size.width) / ZOOM.x);
    const row = Math.floor(i / size.width / ZOOM.y);
    return (row * width + column) * 3;
  });
  return { ...size, data: Uint8Array.from(pixels.flatMap((at) => [...data.slice(at, at + 3)])) };
}
