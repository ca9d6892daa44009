import { intrinsicsFromFov } from '../geometry/index.js';
import type { GeometryLabelsV1 } from '../spec.js';
import { sampleLabels } from '../testing/sample-labels.js';
import { checkStorableLabels, validShareOf } from './check-storable.js';

const good = sampleLabels(1);

/** A copy with one array of view 1 changed. */
const withArray = (
  name: 'intrinsics' | 'extrinsicsWorldToCamera' | 'depth' | 'mask',
  change: (values: Float32Array | Uint8Array) => void,
): GeometryLabelsV1 => {
  const values = good[name].slice();
  change(values.subarray(values.length / good.views));
  return { ...good, [name]: values };
};

const withFov = (horizontal: number, vertical: number): GeometryLabelsV1 => {
  const fov = {
    fovWidthRad: (horizontal * Math.PI) / 180,
    fovHeightRad: (vertical * Math.PI) / 180,
  };
  return withArray('intrinsics', (k) => k.set(intrinsicsFromFov(fov, good)));
};

const turn = (rows: readonly number[]) =>
  withArray('extrinsicsWorldToCamera', (e) =>
    rows.forEach((value, i) => {
      e[i + Math.floor(i / 3)] = value;
    }),
  );

const refused = (labels: GeometryLabelsV1, reason: RegExp, code = 'DATA_INVALID'): void => {
  expect(() => checkStorableLabels(labels, 'here')).toThrow(
    expect.objectContaining({ code, message: expect.stringMatching(reason) }),
  );
};

describe('checkStorableLabels', () => {
  it.each(['integer', 'half'] as const)(
    'lets sound labels pass, pixel centre %s',
    (pixelCentre) => {
      checkStorableLabels({ ...good, conventions: { ...good.conventions, pixelCentre } }, 'here');
    },
  );

  it('lets ray lengths and labels without confidence and features pass', () => {
    const { features: _, depthConfidence: __, ...bare } = good;
    checkStorableLabels(
      { ...bare, conventions: { ...bare.conventions, depth: 'ray-length' } },
      'here',
    );
  });

  it('refuses a rotation that is scaled', () => {
    refused(turn([1.001, 0, 0, 0, 1.001, 0, 0, 0, 1.001]), /view 1: .*not orthonormal.*0\.002/);
  });

  it('refuses a rotation whose rows are not perpendicular', () => {
    refused(turn([1, 0, 0, 0.01, 1, 0, 0, 0, 1]), /view 1: .*not orthonormal/);
  });

  it('refuses a reflection', () => {
    refused(turn([1, 0, 0, 0, 1, 0, 0, 0, -1]), /view 1: .*reflection/);
  });

  it.each([
    [4, 40, /horizontal field of view of 4\.0°/],
    [172, 40, /horizontal field of view of 172\.0°/],
    [40, 4, /vertical field of view of 4\.0°/],
    [40, 172, /vertical field of view of 172\.0°/],
  ])('refuses a field of view of %p° × %p°', (horizontal, vertical, reason) => {
    refused(withFov(horizontal, vertical), reason);
  });

  it.each([
    [6, 6],
    [165, 165],
    [120, 30],
  ])('lets %p° × %p° pass', (horizontal, vertical) => {
    checkStorableLabels(withFov(horizontal, vertical), 'here');
  });

  it.each([
    [3, 0.1],
    [6, 0.1],
    [7, 0.1],
    [8, 2],
  ])('refuses intrinsics with %p set to %p', (i, value) => {
    refused(
      withArray('intrinsics', (k) => {
        k[i] = value;
      }),
      /view 1: intrinsics/,
    );
  });

  it('refuses a world so far away that points in float32 lose their pixel', () => {
    refused(
      withArray('extrinsicsWorldToCamera', (e) => {
        e[3] = 3e6;
        e[7] = 5e6;
      }),
      /view 1: the point of pixel .*origin \+ depth · direction/,
    );
  });

  it('refuses a view set with too few valid pixels', () => {
    const mask = good.mask.map((_, i) => Number(i % 40 === 0));
    refused({ ...good, mask }, /at least 5 % valid pixels, found 2\.60 %/);
  });

  it('refuses what no consumer could use', () => {
    refused(
      withArray('depth', (d) => {
        d.fill(Number.NaN);
      }),
      /positive depth where the mask is 1/,
    );
    refused(
      withArray('depth', (d) => {
        d.fill(-1);
      }),
      /positive depth where the mask is 1/,
    );
    refused(
      withArray('mask', (m) => {
        m[0] = 2;
      }),
      /mask/,
    );
    refused({ ...good, depthConfidence: good.depth.map(() => 0) }, /confidence/);
    refused({ ...good, depth: good.depth.subarray(1) }, /depth/, 'SHAPE_MISMATCH');
    refused({ ...good, views: 0 }, /positive sizes/);
  });

  it.each([Number.NaN, Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY])(
    'refuses a feature of %p',
    (value) => {
      const data = good.features!.data.slice();
      data[17] = value;
      refused({ ...good, features: { ...good.features!, data } }, /features: .* at index 17/);
    },
  );

  it('changes nothing', () => {
    const labels = sampleLabels(2);
    checkStorableLabels(labels, 'here');
    expect(labels).toEqual(sampleLabels(2));
  });
});

describe('validShareOf', () => {
  it('counts', () => expect(validShareOf({ mask: Uint8Array.of(1, 0, 0, 1) })).toBe(0.5));
});
