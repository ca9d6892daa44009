import {
  checkLabels,
  labelMaps,
  type PixelWindow,
  projectPoints,
  resampleFeatures,
} from '@spatialsv/core/kit';
import { expectAllclose } from '@spatialsv/core/testing';
import { vggtLabels } from './vggt-labels.js';
import type { VggtPrediction } from './vggt-model.js';
import type { PreparedImages } from './vggt-preprocess.js';

const prepared = (height: number, width: number, windows: PixelWindow[]): PreparedImages => ({
  views: windows.length,
  height,
  width,
  pixels: new Uint8Array(windows.length * height * width * 3),
  windows,
});

/** A camera turned by 90° about y and moved by (t, 0, 0). */
const turned = (t: number): number[] => [0, 0, 1, t, 0, 1, 0, 0, -1, 0, 0, 0];

/** Depth 1, 2, 3 … of views that look along different axes. */
const prediction = (height: number, width: number, views: number): VggtPrediction => ({
  views,
  height,
  width,
  depth: Float32Array.from({ length: views * height * width }, (_, i) => i + 1),
  depthConfidence: Float32Array.from({ length: views * height * width }, (_, i) => i + 2),
  pose: Float32Array.from(Array.from({ length: views }, () => [0, 0, 0, 0, 0, 0, 1, 1, 1]).flat()),
  extrinsics: Float32Array.from(Array.from({ length: views }, (_, v) => turned(v + 1)).flat()),
  intrinsics: Float32Array.from(
    Array.from({ length: views }, () => [5, 0, width / 2, 0, 6, height / 2, 0, 0, 1]).flat(),
  ),
});

const whole = (height: number, width: number): PixelWindow => ({
  x0: 0,
  y0: 0,
  x1: width,
  y1: height,
});

describe('vggtLabels', () => {
  it('puts the world into the first camera', () => {
    const images = prepared(4, 6, [whole(4, 6), whole(4, 6)]);
    const labels = vggtLabels(prediction(4, 6, 2), images);
    checkLabels(labels, 'test');
    // Equal rotations, translations (1, 0, 0) and (2, 0, 0): E₁·E₀⁻¹ moves by their difference.
    // biome-ignore format: two matrices
    expectAllclose(labels.extrinsicsWorldToCamera, [
      1, 0, 0, 0, 0, 1, 0, 0, 0, 0, 1, 0,
      1, 0, 0, 1, 0, 1, 0, 0, 0, 0, 1, 0,
    ], { atol: 1e-6 });
    expect([...labels.depth.slice(0, 3)]).toEqual([1, 2, 3]);
    expect(labels.conventions).toMatchObject({ world: 'first-camera', scale: 'relative' });
  });

  it('unprojects integer pixels with the principal point at half the size, as the reference does', () => {
    const labels = vggtLabels(prediction(4, 6, 1), prepared(4, 6, [whole(4, 6)]));
    const { points } = labelMaps(labels);
    const [u, v, d] = [5, 3, 24];
    expectAllclose(points.slice(-3), [((u - 3) / 5) * d, ((v - 2) / 6) * d, d], { rtol: 1e-6 });
  });

  it('cuts white borders away and masks what was cropped', () => {
    const windows = [
      { x0: 0, y0: 1, x1: 6, y1: 3 }, // two rows of white
      { x0: 0, y0: -1, x1: 6, y1: 5 }, // two rows lost
    ];
    const images = prepared(4, 6, windows);
    const labels = vggtLabels(prediction(4, 6, 2), images, { height: 6, width: 6 });
    checkLabels(labels, 'test');
    const rows = (view: number) =>
      Array.from({ length: 6 }, (_, row) => labels.depth[(view * 6 + row) * 6]);
    expect(rows(0)).toEqual([7, 7, 7, 13, 13, 13]);
    expect(rows(1)).toEqual([0, 25, 31, 37, 43, 0]);
    const masks = Array.from({ length: 6 }, (_, row) => labels.mask[36 + row * 6]);
    expect(masks).toEqual([0, 1, 1, 1, 1, 0]);
    // The optical axis stays where it was: in the middle of the whole image.
    const centre = projectPoints([0, 0, 1], {
      intrinsics: [...labels.intrinsics.slice(0, 9)],
      extrinsicsWorldToCamera: [1, 0, 0, 0, 0, 1, 0, 0, 0, 0, 1, 0],
    });
    // Row edge 2.5 of 4 is edge 1.5 of the two rows that show the image, so edge 4.5 of 6 and row 4.
    expectAllclose(centre, [3, 4, 1], { rtol: 1e-6 });
  });

  it('takes the size of the first image unless asked for another', () => {
    const images = prepared(4, 6, [{ x0: 1, y0: 1, x1: 5, y1: 3 }, whole(4, 6)]);
    expect(vggtLabels(prediction(4, 6, 2), images)).toMatchObject({ height: 2, width: 4 });
    const asked = vggtLabels(prediction(4, 6, 2), images, { height: 8, width: 10 });
    expect(asked).toMatchObject({ height: 8, width: 10 });
  });

  it('takes depth from points where only those were predicted, and masks what lies behind', () => {
    const { depth: _, depthConfidence: confidence, ...rest } = prediction(1, 2, 1);
    const points = Float32Array.of(-3, 0, 0, 2, 0, 0);
    const labels = vggtLabels(
      { ...rest, points, pointConfidence: confidence! },
      prepared(1, 2, [whole(1, 2)]),
    );
    expect([...labels.depth]).toEqual([3, -2]); // z of the turned camera is −x
    expect([...labels.mask]).toEqual([1, 0]);
  });

  it('masks depth that is no number', () => {
    const made = prediction(1, 3, 1);
    made.depth!.set([Number.POSITIVE_INFINITY, 0, 1]);
    const labels = vggtLabels(made, prepared(1, 3, [whole(1, 3)]));
    expect([...labels.mask]).toEqual([0, 0, 1]);
  });

  it.each([
    ['no field of view', 7, 0],
    ['a field of view beyond a half-space', 8, 3.2],
    ['a pose that is no number', 0, Number.NaN],
  ])('refuses %s and names the view', (_, index, value) => {
    const made = prediction(2, 2, 2);
    made.pose[9 + index] = value;
    made.extrinsics[12 + 3] = index === 0 ? value : 1;
    const error = expect.objectContaining({
      code: 'DATA_INVALID',
      message: expect.stringContaining('view 2 of 2'),
    });
    expect(() => vggtLabels(made, prepared(2, 2, [whole(2, 2), whole(2, 2)]))).toThrow(error);
  });
});

describe('resampleFeatures', () => {
  const features = { data: Float32Array.of(1, 2, 3, 4, 5, 6, 7, 8), h: 4, w: 2, channels: 1 };

  it('leaves features of whole images as they are', () => {
    expect(resampleFeatures(features, prepared(8, 4, [whole(8, 4)]))).toBe(features);
  });

  it('takes the cells of the image out of its border', () => {
    const window = { x0: 0, y0: 2, x1: 4, y1: 6 };
    const inside = resampleFeatures(features, prepared(8, 4, [window]));
    expect(inside).toMatchObject({ h: 2, w: 2 });
    expect([...inside.data]).toEqual([3, 4, 5, 6]);
    const between = resampleFeatures(features, prepared(8, 4, [{ ...window, y0: 1, y1: 5 }]));
    expect([...between.data]).toEqual([2, 3, 4, 5]);
  });

  it('repeats the edge where content was cropped', () => {
    const window = { x0: 0, y0: -2, x1: 4, y1: 10 };
    const outside = resampleFeatures(features, prepared(8, 4, [window]));
    expect(outside).toMatchObject({ h: 6, w: 2 });
    expect([...outside.data]).toEqual([1, 2, 1, 2, 3, 4, 5, 6, 7, 8, 7, 8]);
  });
});
