import { WebIO } from '@gltf-transform/core';
import { pointsFromRays } from '@spatialsv/core';
import { cameraToWorld } from './cameras.js';
import { encodeGlb } from './glb.js';
import { buildPointCloud } from './point-cloud.js';
import { testScene } from './test-scene.js';

// The validator ships no types.
const validator: {
  validateBytes(bytes: Uint8Array): Promise<{ issues: { numErrors: number; messages: unknown[] } }>;
} = require('gltf-validator');

const scene = testScene(3);
const points = pointsFromRays(scene.rays, scene.depth);
const cloud = buildPointCloud({ ...scene, points });

describe('encodeGlb', () => {
  it('passes the Khronos validator', async () => {
    const bytes = await encodeGlb({ cloud, cameras: scene.cameras });
    const { issues } = await validator.validateBytes(bytes);
    expect(issues.messages).toEqual([]);
    expect(issues.numErrors).toBe(0);
  });

  it('holds points and frusta in y-up axes', async () => {
    const document = await new WebIO().readBinary(
      await encodeGlb({ cloud, cameras: scene.cameras, frustumDepth: 0.5 }),
    );
    const primitives = document
      .getRoot()
      .listMeshes()
      .flatMap((mesh) => mesh.listPrimitives());
    expect(primitives.map((primitive) => primitive.getMode())).toEqual([0, 1, 1, 1]);
    const positions = primitives[0]!.getAttribute('POSITION')!.getArray()!;
    expect(positions.length).toBe(cloud.positions.length);
    expect([...positions.subarray(0, 3)]).toEqual([
      cloud.positions[0],
      -cloud.positions[1]!,
      -cloud.positions[2]!,
    ]);
  });

  it('places a glTF camera that looks where the view looks', async () => {
    const document = await new WebIO().readBinary(
      await encodeGlb({ cloud, cameras: scene.cameras }),
    );
    const node = document
      .getRoot()
      .listNodes()
      .find((n) => n.getName() === 'view-2')!;
    const m = node.getWorldMatrix();
    const ahead = cameraToWorld(scene.cameras[2]!, [0.1, -0.2, 3]);
    const local = [0.1, 0.2, -3];
    const placed = [0, 1, 2].map(
      (r) => m[r]! * local[0]! + m[4 + r]! * local[1]! + m[8 + r]! * local[2]! + m[12 + r]!,
    );
    [ahead[0], -ahead[1], -ahead[2]].forEach((value, i) => {
      expect(placed[i]).toBeCloseTo(value, 5);
    });
  });

  it('is valid without a single point', async () => {
    const none = { ...cloud, positions: new Float32Array(0), colors: new Uint8Array(0) };
    for (const cameras of [scene.cameras, []]) {
      const { issues } = await validator.validateBytes(await encodeGlb({ cloud: none, cameras }));
      expect(issues.messages).toEqual([]);
    }
  });
});
