import { createScene, type SceneOptions } from './create-scene.js';
import { MOTIONS, type Scene, type SceneObject } from './scene.js';

const seeds = Array.from({ length: 25 }, (_, k) => 101 * k + 7);

/** Corners and inner points of the turned rectangle on the floor that an object covers. */
const floorPoints = ({ position, yawDeg, size }: SceneObject): [number, number][] => {
  const [sin, cos] = [Math.sin((yawDeg * Math.PI) / 180), Math.cos((yawDeg * Math.PI) / 180)];
  const shares = [-0.5, -0.25, 0, 0.25, 0.5];
  return shares.flatMap((a) =>
    shares.map((b): [number, number] => [
      position[0] + cos * a * size[0] + sin * b * size[2],
      position[1] - sin * a * size[0] + cos * b * size[2],
    ]),
  );
};

const covers = ({ position, yawDeg, size }: SceneObject, [x, z]: readonly [number, number]) => {
  const [sin, cos] = [Math.sin((yawDeg * Math.PI) / 180), Math.cos((yawDeg * Math.PI) / 180)];
  const [dx, dz] = [x - position[0], z - position[1]];
  return (
    Math.abs(cos * dx - sin * dz) <= size[0] / 2 && Math.abs(sin * dx + cos * dz) <= size[2] / 2
  );
};

const everyScene = (options: SceneOptions, check: (scene: Scene) => void): void => {
  for (const seed of seeds) check(createScene(seed, options));
};

describe.each(MOTIONS)('%s scenes', (motion) => {
  it('keep objects in the room, apart from each other and from the cameras', () => {
    everyScene({ motion }, ({ room, objects, cameras }) => {
      for (const object of objects) {
        const others = objects.filter((other) => other !== object);
        const wrong = floorPoints(object).filter(
          ([x, z]) =>
            Math.abs(x) > room.width / 2 ||
            Math.abs(z) > room.depth / 2 ||
            others.some((other) => covers(other, [x, z])),
        );
        expect(wrong).toEqual([]);
      }
      for (const { position } of cameras) {
        expect(Math.abs(position[0])).toBeLessThan(room.width / 2 - 0.3);
        expect(Math.abs(position[2])).toBeLessThan(room.depth / 2 - 0.3);
        expect(-position[1]).toBeLessThan(room.height);
        expect(objects.some((object) => covers(object, [position[0], position[2]]))).toBe(false);
      }
    });
  });

  it('have 5 to 12 objects of different names and 2 to 8 cameras', () => {
    for (const views of [2, 5, 8]) {
      const scene = createScene(views, { motion, views, objects: [5, 12] });
      expect(scene.cameras).toHaveLength(views);
      expect(scene.objects.length).toBeGreaterThanOrEqual(5);
      expect(new Set(scene.objects.map(({ name }) => name)).size).toBe(scene.objects.length);
    }
    expect(createScene(1, { motion, objects: 12 }).objects).toHaveLength(12);
  });
});

describe('camera motions', () => {
  const angleOf = (x: number, z: number): number => (Math.atan2(x, z) * 180) / Math.PI;
  const turn = (from: number, to: number): number => ((((to - from) % 360) + 540) % 360) - 180;

  it('rotation stands still and turns by equal steps', () => {
    everyScene({ motion: 'rotation' }, ({ cameras, stepDeg }) => {
      expect([45, 90]).toContain(Math.abs(stepDeg));
      for (const [k, camera] of cameras.slice(1).entries()) {
        expect(camera.position).toEqual(cameras[0]!.position);
        expect(turn(cameras[k]!.yawDeg, camera.yawDeg)).toBeCloseTo(stepDeg, 6);
      }
    });
  });

  it('among looks at the centre from the front, the left, the back and the right', () => {
    everyScene({ motion: 'among' }, ({ cameras, objects, centre }) => {
      const [cx, cz] = objects[centre!]!.position;
      const distances = cameras.map(({ position }) =>
        Math.hypot(cx - position[0], cz - position[2]),
      );
      for (const [k, { position, yawDeg }] of cameras.entries()) {
        expect(turn(yawDeg, angleOf(cx - position[0], cz - position[2]))).toBeCloseTo(0, 0);
        expect(distances[k]).toBeCloseTo(distances[0]!, 2);
        expect(turn(cameras[0]!.yawDeg, yawDeg) - turn(0, 90 * k)).toBeCloseTo(0, 6);
        expect(yawDeg % 90).toBe(0);
      }
    });
  });

  it('around moves on an arc and looks inward', () => {
    everyScene({ motion: 'around' }, ({ cameras, stepDeg }) => {
      for (const [k, camera] of cameras.slice(1).entries()) {
        expect(turn(cameras[k]!.yawDeg, camera.yawDeg)).toBeCloseTo(stepDeg, 6);
        const chord = Math.hypot(
          camera.position[0] - cameras[k]!.position[0],
          camera.position[2] - cameras[k]!.position[2],
        );
        const radius = chord / 2 / Math.sin((Math.abs(stepDeg) * Math.PI) / 360);
        expect(radius).toBeGreaterThan(2.2);
        expect(radius).toBeLessThan(2.8);
      }
    });
  });
});

describe('options', () => {
  it('fixed walls look the same in every scene, random ones do not', () => {
    const paints = (walls: 'fixed' | 'random') =>
      seeds.slice(0, 6).map((seed) => createScene(seed, { walls }).room.materials.slice(2));
    expect(new Set(paints('fixed').map((list) => JSON.stringify(list))).size).toBe(1);
    expect(new Set(paints('random').map((list) => JSON.stringify(list))).size).toBe(6);
  });

  it('shuffled colours change hands and stay different within a scene', () => {
    everyScene({ colours: 'shuffled', objects: 9 }, ({ objects }) => {
      expect(new Set(objects.map(({ colour }) => colour.join())).size).toBe(9);
      expect(new Set(objects.map(({ name }) => name.split(' ')[0])).size).toBe(9);
    });
    const sofas = seeds
      .map((seed) => createScene(seed, { colours: 'shuffled', objects: 12 }))
      .map(({ objects }) => objects.find(({ kind }) => kind === 'sofa')!.name);
    expect(new Set(sofas).size).toBeGreaterThan(3);
  });

  it.each([
    { views: 1 },
    { views: 9 },
    { views: 2.5 },
    { objects: 4 },
    { objects: 13 },
    { objects: [8, 6] as const },
    { fovDeg: 10 },
    { stepDeg: 120 },
    { stepDeg: 90, views: 5 },
    { stepDeg: 0 },
    { views: Number.NaN },
  ])('refuses %j', (options) => {
    expect(() => createScene(1, options)).toThrow(
      expect.objectContaining({ code: 'CONFIG_INVALID' }),
    );
  });
});
