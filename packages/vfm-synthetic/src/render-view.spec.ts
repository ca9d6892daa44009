import { createHash } from 'node:crypto';
import { expectAllclose } from '@spatialsv/core/testing';
import { compileScene } from './compiled-scene.js';
import { createScene } from './create-scene.js';
import { castView, type RenderedView, renderGeometry, renderView } from './render-view.js';
import { FIRST_OBJECT_ID, MOTIONS, OBJECT_KINDS, type Scene, type SceneObject } from './scene.js';
import { ballAt, boxAt, levelCamera, plainScene } from './testing/plain-scene.js';

const SIZE = { width: 64, height: 48 };

/** Image coordinates of pixel (j, i) on the plane z = 1, for the 90° lens of the plain scene. */
const slope = (j: number, i: number) => ({
  x: (j + 0.5 - SIZE.width / 2) / (SIZE.width / 2),
  y: (i + 0.5 - SIZE.height / 2) / (SIZE.width / 2),
});

describe('depth of simple scenes', () => {
  it('equals the nearest of floor, ceiling and three walls in an empty room', () => {
    const { depth } = renderGeometry(plainScene([]), levelCamera([0.5, 1], 0), SIZE);
    const expected = Array.from(depth, (_, k) => {
      const { x, y } = slope(k % SIZE.width, Math.floor(k / SIZE.width));
      const floorOrCeiling = y > 0 ? 1.5 / y : (1.5 - 2.6) / y;
      return Math.min(3, floorOrCeiling, x > 0 ? 2.5 / x : -3.5 / x);
    });
    expectAllclose(depth, expected, { rtol: 1e-6 });
  });

  it('equals the closed form of a sphere', () => {
    const scene = plainScene([ballAt([0.2, 2], 2.2)]);
    const { depth, instances } = renderGeometry(scene, scene.cameras[0]!, SIZE);
    let covered = 0;
    instances.forEach((id, k) => {
      if (id !== FIRST_OBJECT_ID) return;
      covered++;
      const { x, y } = slope(k % SIZE.width, Math.floor(k / SIZE.width));
      // |t·d − c|² = r² with the centre 0.4 m below the eye.
      const [dd, dc, cc] = [x * x + y * y + 1, 0.2 * x + 0.4 * y + 2, 0.04 + 0.16 + 4];
      expect(depth[k]).toBeCloseTo((dc - Math.sqrt(dc * dc - dd * (cc - 1.21))) / dd, 5);
    });
    expect(covered).toBeGreaterThan(200);
  });

  it('equals the front plane of a box that faces the camera, and the corner of one that is turned', () => {
    const straight = plainScene([boxAt([0, 2.5])]);
    const front = renderGeometry(straight, straight.cameras[0]!, SIZE);
    const middle = (SIZE.height / 2) * SIZE.width + SIZE.width / 2;
    // The crate's body is 4 % narrower than its lid.
    expect(front.depth[middle]).toBeCloseTo(2.5 - 0.48, 5);
    const turned = plainScene([boxAt([0, 2.5], 45)]);
    const edge = renderGeometry(turned, turned.cameras[0]!, {
      width: 65,
      height: 49,
    });
    expect(edge.depth[24 * 65 + 32]).toBeCloseTo(2.5 - 0.48 * Math.SQRT2, 5);
  });

  it('places objects and cameras with the same sense of turning', () => {
    const scene = plainScene([ballAt([2, 0])], [levelCamera([0, 0], 90)]);
    const { instances } = renderGeometry(scene, scene.cameras[0]!, SIZE);
    const columns = [...instances.entries()]
      .filter(([, id]) => id === FIRST_OBJECT_ID)
      .map(([k]) => (k % SIZE.width) + 0.5);
    expect(columns.length).toBeGreaterThan(20);
    expect(columns.reduce((sum, u) => sum + u, 0) / columns.length).toBeCloseTo(SIZE.width / 2, 5);
  });

  it('samples the same rays at every label size', () => {
    const scene = createScene(3, { motion: 'around' });
    const imageSize = { width: 90, height: 63 };
    const fine = renderGeometry(scene, scene.cameras[1]!, imageSize);
    const coarse = renderGeometry(scene, scene.cameras[1]!, {
      width: 30,
      height: 21,
      imageSize,
    });
    const middles = Array.from(
      coarse.depth,
      (_, k) => (3 * Math.floor(k / 30) + 1) * 90 + 3 * (k % 30) + 1,
    );
    expectAllclose(
      coarse.depth,
      middles.map((k) => fine.depth[k]!),
      { rtol: 1e-6 },
    );
    expect([...coarse.instances]).toEqual(middles.map((k) => fine.instances[k]!));
  });

  it('keeps the field of view when only one side of the label changes', () => {
    const scene = createScene(4, { motion: 'among' });
    const imageSize = { width: 40, height: 40 };
    const { intrinsics } = renderGeometry(scene, scene.cameras[0]!, {
      width: 80,
      height: 20,
      imageSize,
    });
    const focal = 20 / Math.tan((36 * Math.PI) / 180);
    expect([...intrinsics]).toEqual(
      [2 * focal, 0, 40, 0, focal / 2, 10, 0, 0, 1].map((value) => expect.closeTo(value, 10)),
    );
  });
});

describe('every solid', () => {
  const objectOf = (kind: SceneObject['kind'], yawDeg: number): SceneObject => ({
    ...boxAt([0.1, 2.4], yawDeg),
    kind,
    size: [1.2, 1.4, 1],
  });

  it.each(OBJECT_KINDS)('of a %s is seen only inside its own bounding box', (kind) => {
    for (const yawDeg of [0, 37, 90, 200]) {
      const scene = plainScene([objectOf(kind, yawDeg)]);
      const camera = levelCamera([0.1, 0], 4, { pitchDeg: 8, fovDeg: 70 });
      const view = renderGeometry(scene, camera, SIZE);
      const points = unproject(view).filter((_, k) => view.instances[k] === FIRST_OBJECT_ID);
      expect(points.length).toBeGreaterThan(20);
      const [sin, cos] = [Math.sin((yawDeg * Math.PI) / 180), Math.cos((yawDeg * Math.PI) / 180)];
      const outside = points.filter(([x, y, z]) => {
        const [dx, dz] = [x - 0.1, z - 2.4];
        const across = Math.abs(cos * dx - sin * dz) - 0.6;
        const along = Math.abs(sin * dx + cos * dz) - 0.5;
        return Math.max(across, along, y, -1.4 - y) > 1e-4;
      });
      expect(outside).toEqual([]);
    }
  });
});

/** Room-frame points: X = Rᵀ(z·K⁻¹[u v 1]ᵀ − t). */
const unproject = (view: ReturnType<typeof renderGeometry>): [number, number, number][] =>
  Array.from(view.depth, (z, k) => {
    const [fx, , cx, , fy, cy] = view.intrinsics;
    const e = view.extrinsicsRoomToCamera;
    const c = [
      ((((k % view.width) + 0.5 - cx!) / fx!) * z - e[3]!) as number,
      ((Math.floor(k / view.width) + 0.5 - cy!) / fy!) * z - e[7]!,
      z - e[11]!,
    ];
    return [0, 1, 2].map(
      (axis) => e[axis]! * c[0]! + e[4 + axis]! * c[1]! + e[8 + axis]! * c[2]!,
    ) as [number, number, number];
  });

describe('points of one view in another view', () => {
  /** Depth along the ray of view `to` through each visible point of view `from`, and the point's own depth there. */
  const compare = (scene: Scene, from: number, to: number) => {
    const source = renderGeometry(scene, scene.cameras[from]!, {
      width: 48,
      height: 36,
    });
    const caster = castView(compileScene(scene), scene.cameras[to]!, {
      width: 48,
      height: 36,
    });
    const target = renderGeometry(scene, scene.cameras[to]!, {
      width: 48,
      height: 36,
    });
    const everything = Uint16Array.from({ length: caster.compiled.count }, (_, s) => s + 6);
    return unproject(source).flatMap((point, k) => {
      const e = target.extrinsicsRoomToCamera;
      const [x, y, z] = [0, 4, 8].map(
        (o) => e[o]! * point[0] + e[o + 1]! * point[1] + e[o + 2]! * point[2] + e[o + 3]!,
      ) as [number, number, number];
      const u = (target.intrinsics[0]! * x) / z + target.intrinsics[2]!;
      const v = (target.intrinsics[4]! * y) / z + target.intrinsics[5]!;
      if (z <= 0 || u < 0 || u > 48 || v < 0 || v > 36) return [];
      caster.castAt(u, v, everything, everything.length);
      return [
        {
          own: z,
          seen: caster.hit.depth,
          instance: source.instances[k]!,
          u,
          v,
          target,
        },
      ];
    });
  };

  it.each(MOTIONS)('lie on its depth or behind it (%s)', (motion) => {
    for (const seed of [1, 2, 3]) {
      const scene = createScene(seed, { motion, views: 2, stepDeg: 30 });
      const pairs = compare(scene, 0, 1);
      expect(pairs.length).toBeGreaterThan(300);
      expect(Math.min(...pairs.map(({ own, seen }) => own - seen))).toBeGreaterThan(-1e-4);
      const agreeing = pairs.filter(({ own, seen }) => own - seen < 1e-4);
      expect(agreeing.length / pairs.length).toBeGreaterThan(0.6);
    }
  });

  it('meet the same object in the rendered maps where the surface is smooth', () => {
    const scene = createScene(5, { motion: 'around', views: 2, stepDeg: 30 });
    const pairs = compare(scene, 0, 1).filter(({ own, seen }) => own - seen < 1e-4);
    const same = pairs.filter(
      ({ u, v, instance, target }) =>
        target.instances[Math.min(35, Math.floor(v)) * 48 + Math.min(47, Math.floor(u))] ===
        instance,
    );
    expect(same.length / pairs.length).toBeGreaterThan(0.9);
  });
});

const fingerprint = ({ image, depth, instances }: RenderedView): string =>
  createHash('sha256').update(image.data).update(depth).update(instances).digest('hex');

describe('rendering', () => {
  it('is a pure function of seed and options', () => {
    const [a, b] = [createScene(11), createScene(11)];
    expect(a).toEqual(b);
    const size = { width: 40, height: 30 };
    expect(fingerprint(renderView(a, a.cameras[1]!, size))).toBe(
      fingerprint(renderView(b, b.cameras[1]!, size)),
    );
    const other = createScene(12);
    expect(other.objects).not.toEqual(a.objects);
  });

  it('gives the bytes that it gave when this hash was written down', () => {
    const scene = plainScene([ballAt([-0.6, 2.2]), boxAt([0.8, 2.6], 30)]);
    const view = renderView(scene, scene.cameras[0]!, SIZE);
    expect(fingerprint(view)).toMatchInlineSnapshot(
      `"76c6109fab7bd9bcef771e87df6f19c89c4ecd4b4d36da6276ea4deb0e461a43"`,
    );
  });

  it('survives being written as JSON and read back', () => {
    const scene = createScene(13, { motion: 'among' });
    const copy = JSON.parse(JSON.stringify(scene)) as Scene;
    const size = { width: 32, height: 32 };
    expect(fingerprint(renderView(copy, copy.cameras[2]!, size))).toBe(
      fingerprint(renderView(scene, scene.cameras[2]!, size)),
    );
  });

  it('shows each object in its own colour', () => {
    const scene = plainScene([ballAt([0, 2.2])]);
    const { image, instances } = renderView(scene, scene.cameras[0]!, SIZE);
    const sum = [0, 0, 0];
    instances.forEach((id, k) => {
      if (id === FIRST_OBJECT_ID) for (const c of [0, 1, 2]) sum[c]! += image.data[3 * k + c]!;
    });
    expect(sum[2]).toBeGreaterThan(sum[0]!);
    expect(sum[0]).toBeGreaterThan(sum[1]!);
  });
});
