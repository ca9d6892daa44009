import { pointsFromRays } from '@spatialsv/core';
import type { ViewCamera } from '../cameras.js';
import { buildPointCloud } from '../point-cloud.js';
import { testScene } from '../test-scene.js';
import { packScene } from './scene-data.js';

const scene = testScene(3);
const points = pointsFromRays(scene.rays, scene.depth);
const cloud = buildPointCloud({ ...scene, points });

function unpack(packed: ReturnType<typeof packScene>['clouds'][number]): Float32Array {
  const bytes = Uint8Array.from(Buffer.from(packed.positions, 'base64'));
  const codes = new Uint16Array(bytes.buffer);
  return Float32Array.from(codes, (code, i) => packed.origin[i % 3]! + code * packed.step[i % 3]!);
}

/** The same cameras in a world turned by `angle` about x. */
function tilted(cameras: readonly ViewCamera[], angle: number): ViewCamera[] {
  const [c, s] = [Math.cos(angle), Math.sin(angle)];
  return cameras.map((camera) => {
    const e = camera.extrinsicsWorldToCamera;
    const rows = [0, 4, 8].flatMap((r) => [
      e[r]!,
      e[r + 1]! * c - e[r + 2]! * s,
      e[r + 1]! * s + e[r + 2]! * c,
      e[r + 3]!,
    ]);
    return { ...camera, extrinsicsWorldToCamera: Float32Array.from(rows) };
  });
}

describe('packScene', () => {
  it('keeps positions to a ten-thousandth of the scene, in y-up axes', () => {
    const { clouds, radius } = packScene([{ name: 'a', cloud }], scene.cameras, 0.3);
    const positions = unpack(clouds[0]!);
    expect(positions.length).toBe(cloud.positions.length);
    positions.forEach((value, i) => {
      const expected = cloud.positions[i]! * (i % 3 === 0 ? 1 : -1);
      expect(Math.abs(value - expected)).toBeLessThan(radius * 2e-4);
    });
  });

  it('stands the scene upright when the world is the frame of a tilted camera', () => {
    const straight = packScene([], scene.cameras, 0.3);
    const turned = packScene([], tilted(scene.cameras, 0.6), 0.3);
    turned.cameras.forEach((camera, i) => {
      camera.forward.forEach((value, a) => {
        expect(value).toBeCloseTo(straight.cameras[i]!.forward[a]!, 5);
      });
    });
  });

  it('leaves out views without a camera and keeps their numbers', () => {
    const [, second] = scene.cameras;
    const packed = packScene([{ name: 'a', cloud }], [undefined, second], 0.3);
    expect(packed.cameras.map((camera) => camera.view)).toEqual([1]);
  });
});
