import { cameraCentre, rigidFrom, rotationAbout } from '@spatialsv/core/kit';
import { expectAllclose } from '@spatialsv/core/testing';
import { camerasOfPoses, normaliseCameras, posesOf } from './da3-cameras.js';
import { chooseReferenceView, referenceFirst } from './da3-reference-view.js';

const SIZE = { width: 56, height: 42 };
const K = [50, 0, 28, 0, 48, 21, 0, 0, 1];
const rigids = [
  rigidFrom(rotationAbout([1, 2, 3], 0.4), [0.3, -0.2, 0.5]),
  rigidFrom(rotationAbout([0, 1, 0], 0.7), [3, 0.5, -1]),
  rigidFrom(rotationAbout([1, 0, 0], -0.3), [-1, 4, 2]),
];
const cameras = { extrinsicsWorldToCamera: rigids.flat(), intrinsics: [...K, ...K, ...K] };

describe('cameras', () => {
  it('survive encoding and decoding', () => {
    const { extrinsics, intrinsics } = camerasOfPoses(posesOf(cameras, SIZE), SIZE);
    expectAllclose(extrinsics, cameras.extrinsicsWorldToCamera, { atol: 1e-5 });
    expectAllclose(intrinsics, cameras.intrinsics, { atol: 1e-3 });
  });

  it('have a bounded focal length where the field of view is none', () => {
    const pose = (fov: number) => [0, 0, 0, 0, 0, 0, 1, fov, fov];
    for (const fov of [0, -1, 3.5]) {
      const { intrinsics } = camerasOfPoses(pose(fov), SIZE);
      expect([intrinsics[0], intrinsics[4]]).toEqual([28e6, 21e6]);
    }
  });

  it('are taken relative to view 0, at the median distance', () => {
    const { extrinsicsWorldToCamera } = normaliseCameras(cameras);
    const views = [0, 1, 2].map((v) =>
      Array.from(extrinsicsWorldToCamera).slice(12 * v, 12 * v + 12),
    );
    expectAllclose(views[0]!, [1, 0, 0, 0, 0, 1, 0, 0, 0, 0, 1, 0], { atol: 1e-9 });
    const distances = views.map((rigid) => Math.hypot(...cameraCentre(rigid)));
    expect(distances.sort((a, b) => a - b)[1]).toBeCloseTo(1, 9);
  });

  it('are not scaled up when they are close together', () => {
    const near = [...rigids[0]!, ...rigids[0]!];
    near[15]! += 0.01;
    const pair = { extrinsicsWorldToCamera: near, intrinsics: [...K, ...K] };
    const { extrinsicsWorldToCamera } = normaliseCameras(pair);
    expect(Math.hypot(...[15, 19, 23].map((i) => extrinsicsWorldToCamera[i]!))).toBeCloseTo(0.1, 9);
  });
});

describe('the reference view', () => {
  const tokens = [
    [1, 0, 0],
    [0.9, 0.5, 0.1],
    [0.2, 1, 0.3],
    [0, 0.2, 2],
  ];

  it.each([
    ['first', 0],
    ['middle', 2],
    ['saddle_sim_range', 0],
  ] as const)('%s is view %i', (strategy, view) => {
    expect(chooseReferenceView(tokens, strategy)).toBe(view);
  });

  it('is the first of one or two', () => {
    expect(chooseReferenceView(tokens.slice(0, 2), 'middle')).toBe(0);
  });

  it('lies in the middle of every measure when balanced', () => {
    const spread = [
      [1, 0.1, 0],
      [2, 1, 0.1],
      [3, 4, 1],
    ];
    expect(chooseReferenceView(spread, 'saddle_balanced')).toBe(1);
  });

  it('comes first, the others in their order', () => {
    expect(referenceFirst(4, 2)).toEqual([2, 0, 1, 3]);
  });
});
