import fc from 'fast-check';
import { expectAllclose } from '../testing/index.js';
import {
  cameraCentre,
  composeRigid,
  cropIntrinsics,
  decodePose,
  encodePose,
  invertRigid,
  matrixToQuaternion,
  pixelRay,
  quaternionToMatrix,
  relativeToFirst,
  requireConventions,
  rigidFrom,
  rotationAbout,
  rotationAngle,
  rotationOf,
  scaleIntrinsics,
} from './index.js';

// biome-ignore format: rows of a matrix
const R = [
  0.72631579, -0.61052632, -0.31578947,
  0.52631579, 0.78947368, -0.31578947,
  0.44210526, 0.06315789, 0.89473684,
];
const exactR = quaternionToMatrix([0.1, -0.2, 0.3, 0.9]);
const intrinsics = [400, 0, 259, 0, 420, 196, 0, 0, 1];
const camera = { intrinsics, extrinsicsWorldToCamera: rigidFrom(exactR, [0.3, -0.4, 1.2]) };
const size = { width: 518, height: 392 };

const finite = (limit: number) => fc.double({ min: -limit, max: limit, noNaN: true });
const rotation = fc
  .tuple(finite(1), finite(1), finite(1), finite(1))
  .filter((q) => Math.hypot(...q) > 0.01)
  .map(quaternionToMatrix);
const rigid = fc
  .tuple(rotation, fc.tuple(finite(10), finite(10), finite(10)))
  .map(([r, t]) => rigidFrom(r, t));

describe('quaternions', () => {
  it('agree with the reference values', () => {
    expectAllclose(exactR, R, { atol: 5e-9 });
    expectAllclose(matrixToQuaternion(exactR), [0.10259784, -0.20519567, 0.30779351, 0.92338052], {
      atol: 5e-9,
    });
  });

  it('round-trip with matrices, w ≥ 0', () => {
    fc.assert(
      fc.property(rotation, (matrix) => {
        const quaternion = matrixToQuaternion(matrix);
        expect(quaternion[3]).toBeGreaterThanOrEqual(0);
        expectAllclose(quaternionToMatrix(quaternion), matrix, { atol: 1e-12 });
      }),
    );
  });

  it.each([
    [1, 0, 0],
    [0, 1, 0],
    [0, 0, 1],
  ])('stay exact for half turns about (%d, %d, %d)', (...axis) => {
    const half = rotationAbout(axis, Math.PI);
    expectAllclose(quaternionToMatrix(matrixToQuaternion(half)), half, { atol: 1e-15 });
    expect(rotationAngle(half, [1, 0, 0, 0, 1, 0, 0, 0, 1])).toBeCloseTo(Math.PI, 12);
  });

  it('measure small angles exactly', () => {
    const identity = rotationAbout([0, 0, 1], 0);
    expectAllclose([rotationAngle(identity, rotationAbout([1, 2, 3], 1e-9))], [1e-9], {
      rtol: 1e-6,
    });
  });
});

describe('pose encoding', () => {
  it('agrees with the reference values', () => {
    const encoding = encodePose(camera, size);
    expectAllclose(encoding.slice(0, 3), [0.3, -0.4, 1.2]);
    expectAllclose(encoding.slice(7), [0.8732543, 1.1492314], { atol: 5e-8 });
  });

  it('round-trips', () => {
    const decoded = decodePose(encodePose(camera, size), size);
    expectAllclose(decoded.intrinsics, intrinsics, { rtol: 1e-12 });
    expectAllclose(decoded.extrinsicsWorldToCamera, camera.extrinsicsWorldToCamera, {
      rtol: 1e-12,
    });
  });
});

describe('rigid transforms', () => {
  it('give the identity with their inverse', () => {
    const identity = rigidFrom([1, 0, 0, 0, 1, 0, 0, 0, 1], [0, 0, 0]);
    fc.assert(
      fc.property(rigid, (transform) => {
        expectAllclose(composeRigid(transform, invertRigid(transform)), identity, { atol: 1e-12 });
        expectAllclose(invertRigid(invertRigid(transform)), transform, { atol: 1e-12 });
      }),
    );
  });

  it('have the camera centre of the reference', () => {
    expectAllclose(
      cameraCentre(camera.extrinsicsWorldToCamera),
      [-0.53789474, 0.42315789, -1.10526316],
      { atol: 5e-9 },
    );
  });

  it('become relative to the first camera without changing relative poses', () => {
    fc.assert(
      fc.property(rigid, rigid, rigid, (a, b, c) => {
        const relative = relativeToFirst([...a, ...b, ...c]);
        expect([...relative.subarray(0, 12)]).toEqual([1, 0, 0, 0, 0, 1, 0, 0, 0, 0, 1, 0]);
        const between = composeRigid(relative.subarray(24), invertRigid(relative.subarray(12, 24)));
        expectAllclose(between, composeRigid(c, invertRigid(b)), { atol: 2e-5 });
        expect(
          rotationAngle(rotationOf(between), rotationOf(composeRigid(c, invertRigid(b)))),
        ).toBeLessThan(1e-5);
      }),
    );
  });
});

describe('intrinsics', () => {
  it.each(['half', 'integer'] as const)(
    'see the same ray through the same place at another resolution (%s)',
    (pixelCentre) => {
      const toEdge = pixelCentre === 'half' ? 0 : 0.5;
      const half = { width: 259, height: 98 };
      const scaled = {
        ...camera,
        intrinsics: scaleIntrinsics(intrinsics, size, half, pixelCentre),
      };
      const [x, y] = [100.25, 50.75];
      const before = pixelRay(camera, x - toEdge, y - toEdge).direction;
      const after = pixelRay(scaled, x / 2 - toEdge, y / 4 - toEdge).direction;
      expectAllclose(after, before, { rtol: 1e-12 });
    },
  );

  it('follow a crop', () => {
    const window = { x0: 10, y0: 20, x1: 110, y1: 70 };
    const cropped = cropIntrinsics(intrinsics, window, { width: 50, height: 50 }, 'half');
    expect(cropped).toEqual([200, 0, 124.5, 0, 420, 176, 0, 0, 1]);
  });
});

describe('requireConventions', () => {
  const conventions = {
    axes: 'opencv',
    extrinsics: 'world-to-camera',
    pixelCentre: 'half',
    depth: 'ray-length',
    scale: 'relative',
    world: 'source',
  } as const;

  it('accepts what it asks for', () => {
    requireConventions(conventions, { pixelCentre: 'half', world: 'source' }, 'test');
  });

  it('refuses anything else', () => {
    expect(() => requireConventions(conventions, { depth: 'z-depth' }, 'test')).toThrow(
      expect.objectContaining({ code: 'CONVENTION_MISMATCH' }),
    );
  });
});
