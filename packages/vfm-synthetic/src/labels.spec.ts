import { checkLabels, labelMaps } from '@spatialsv/core/kit';
import { createScene } from './create-scene.js';
import { renderLabels, SYNTHETIC_CONVENTIONS } from './labels.js';
import { renderGeometry } from './render-view.js';
import { MOTIONS, type Scene } from './scene.js';

const SIZE = { width: 36, height: 27 };

/** First-camera frame → room frame, from the raw position and angles. */
const toRoom = ({ cameras }: Scene, points: Float32Array, k: number): [number, number, number] => {
  const { position, yawDeg, pitchDeg } = cameras[0]!;
  const [yaw, pitch] = [(yawDeg * Math.PI) / 180, (pitchDeg * Math.PI) / 180];
  const [x, y, z] = [...points.subarray(3 * k, 3 * k + 3)] as [number, number, number];
  const ahead = Math.cos(pitch) * z - Math.sin(pitch) * y;
  const down = Math.sin(pitch) * z + Math.cos(pitch) * y;
  return [
    position[0] + Math.cos(yaw) * x + Math.sin(yaw) * ahead,
    position[1] + down,
    position[2] - Math.sin(yaw) * x + Math.cos(yaw) * ahead,
  ];
};

describe.each(MOTIONS)('labels of %s scenes', (motion) => {
  const scene = createScene(17, { motion });
  const labels = renderLabels(scene, { cameras: scene.cameras, ...SIZE });

  it('pass the check of every label source', () => {
    expect(() => checkLabels(labels, 'synthetic')).not.toThrow();
    expect(labels.conventions).toEqual(SYNTHETIC_CONVENTIONS);
  });

  it('unproject to points of the room: floor on the floor, walls on the walls', () => {
    const { points } = labelMaps(labels);
    const pixels = SIZE.width * SIZE.height;
    const planes = [0, -scene.room.height, 0.5 * scene.room.depth, 0.5 * scene.room.width];
    const axes = [1, 1, 2, 0];
    let worst = 0;
    scene.cameras.forEach((camera, view) => {
      renderGeometry(scene, camera, SIZE).instances.forEach((surface, k) => {
        if (surface > 5) return;
        const side = surface < 4 ? surface : surface - 2;
        const expected = planes[side]! * (surface < 4 ? 1 : -1);
        const found = toRoom(scene, points, view * pixels + k)[axes[side]!]!;
        worst = Math.max(worst, Math.abs(found - expected));
      });
    });
    expect(worst).toBeLessThan(2e-5);
  });

  it('have ray origins at the cameras and directions that reach the points at z-depth', () => {
    const { rays, points } = labelMaps(labels);
    const pixels = SIZE.width * SIZE.height;
    const origins = new Float32Array(3 * scene.cameras.length);
    let worst = 0;
    for (let k = 0; k < labels.depth.length; k++) {
      origins.set(rays.subarray(6 * k, 6 * k + 3), 3 * Math.floor(k / pixels));
      for (let axis = 0; axis < 3; axis++) {
        const reached = rays[6 * k + axis]! + labels.depth[k]! * rays[6 * k + 3 + axis]!;
        worst = Math.max(worst, Math.abs(reached - points[3 * k + axis]!));
      }
    }
    expect(worst).toBeLessThan(1e-5);
    scene.cameras.forEach(({ position }, view) => {
      toRoom(scene, origins, view).forEach((value, axis) => {
        expect(value).toBeCloseTo(position[axis]!, 5);
      });
    });
  });
});
