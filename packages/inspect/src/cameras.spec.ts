import { cameraCentre, cameraFile, frustumSegments } from './cameras.js';
import { testScene } from './test-scene.js';
import { camerasFromRays } from './view-cameras.js';

const { cameras, conventions } = testScene(2);

describe('cameras', () => {
  it('finds the centre', () => {
    const centre = cameraCentre(cameras[1]!);
    expect(centre[0]).toBeCloseTo(0.4);
    expect(centre[2]).toBeCloseTo(0);
  });

  it('draws the frustum through the corner pixels', () => {
    const segments = frustumSegments(cameras[0]!, 2);
    expect(segments.length).toBe(10 * 6);
    const { width, height } = cameras[0]!;
    const focal = 0.6 * width;
    expect(segments[3]).toBeCloseTo((-width / 2 / focal) * 2);
    expect(segments[4]).toBeCloseTo((-height / 2 / focal) * 2);
    expect(segments[5]).toBeCloseTo(2);
  });

  it('writes matrices by rows, with the conventions', () => {
    const file = cameraFile(cameras, conventions, 'ray map', ['a.jpg']);
    expect(file.conventions).toMatchObject({ axes: 'opencv', origin: 'ray map' });
    expect(file.cameras[0]).toMatchObject({ view: 0, image: 'a.jpg', width: 32 });
    expect(file.cameras[1]).not.toHaveProperty('image');
    expect(file.cameras[1]?.extrinsicsWorldToCamera.map((row) => row.length)).toEqual([4, 4, 4]);
    expect(file.cameras[0]?.intrinsics[2]).toEqual([0, 0, 1]);
  });
});

describe('camerasFromRays', () => {
  it('finds the cameras again, and none in noise', () => {
    const scene = testScene(2);
    const found = camerasFromRays(scene.rays, scene, 'half', scene.confidence);
    for (const [view, camera] of scene.cameras.entries()) {
      camera.intrinsics.forEach((value, i) => {
        expect(found[view]?.intrinsics[i]).toBeCloseTo(value, 2);
      });
      camera.extrinsicsWorldToCamera.forEach((value, i) => {
        expect(found[view]?.extrinsicsWorldToCamera[i]).toBeCloseTo(value, 4);
      });
    }
    const parallel = scene.rays.map((_, i) => (i % 6 === 5 ? 1 : 0));
    expect(camerasFromRays(parallel, scene, 'half')).toEqual([undefined, undefined]);
  });
});
