import type { Random } from '@spatialsv/core/kit';
import { round } from './round.js';
import type { Material, Room, TextureKind, Vector3, WallDecor } from './scene.js';

const material = (
  texture: TextureKind,
  colour: Vector3,
  second: Vector3,
  scale: number,
): Material => ({ texture, colour, second, scale, glow: 0 });

const shade = ([r, g, b]: Vector3, factor: number): Vector3 => [
  round(Math.min(1, r * factor)),
  round(Math.min(1, g * factor)),
  round(Math.min(1, b * factor)),
];

/** Wall paints by name, pale enough that objects stand out. Neighbours in the list differ in hue. */
const NAMED_PAINTS: Readonly<Record<string, Vector3>> = {
  blue: [0.69, 0.79, 0.89],
  yellow: [0.93, 0.83, 0.66],
  green: [0.75, 0.85, 0.7],
  pink: [0.89, 0.74, 0.74],
  violet: [0.8, 0.75, 0.87],
  ivory: [0.93, 0.91, 0.84],
  turquoise: [0.66, 0.81, 0.8],
  brown: [0.83, 0.79, 0.73],
};
const WALL_PAINTS: readonly Vector3[] = Object.values(NAMED_PAINTS);

/** Name of the paint that a wall's main colour is nearest to, for example `blue`. */
export const paintName = ({ colour }: Material): string => {
  const distance = (paint: Vector3) => Math.hypot(...paint.map((value, k) => value - colour[k]!));
  return Object.entries(NAMED_PAINTS).reduce((best, entry) =>
    distance(entry[1]) < distance(best[1]) ? entry : best,
  )[0];
};

const WALL_TEXTURES: readonly ((paint: Vector3) => Material)[] = [
  (paint) => material('noise', paint, shade(paint, 0.95), 0.25),
  (paint) => material('stripes', paint, shade(paint, 0.91), 0.22),
  (paint) => material('tiles', shade(paint, 1.02), shade(paint, 0.86), 0.55),
  (paint) => material('dots', paint, shade(paint, 0.87), 0.3),
  (paint) => material('planks', paint, shade(paint, 0.88), 0.3),
  (paint) => material('checker', paint, shade(paint, 0.95), 0.4),
];

const FLOORS: readonly Material[] = [
  material('planks', [0.74, 0.56, 0.38], [0.6, 0.43, 0.27], 0.16),
  material('planks', [0.56, 0.4, 0.27], [0.45, 0.31, 0.2], 0.14),
  material('tiles', [0.83, 0.81, 0.77], [0.66, 0.64, 0.6], 0.5),
  material('checker', [0.87, 0.85, 0.8], [0.64, 0.68, 0.7], 0.5),
  material('noise', [0.66, 0.62, 0.57], [0.57, 0.53, 0.49], 0.06),
  material('tiles', [0.72, 0.6, 0.5], [0.58, 0.48, 0.4], 0.4),
];

const CEILING = material('plain', [0.96, 0.96, 0.95], [0.92, 0.92, 0.91], 0.6);

const DECOR_COLOURS: readonly Vector3[] = [
  [0.56, 0.37, 0.22],
  [0.9, 0.88, 0.83],
  [0.4, 0.5, 0.6],
  [0.45, 0.6, 0.42],
  [0.72, 0.45, 0.4],
];

export interface RoomSize {
  readonly halfX: number;
  readonly halfZ: number;
}

/**
 * Draws textures and wall decoration.
 * @param walls `fixed` gives each wall the same paint and pattern in every scene.
 */
export const drawRoom = (
  random: Random,
  { halfX, halfZ }: RoomSize,
  walls: 'random' | 'fixed',
): Room => {
  const height = round(random.uniform(2.55, 2.9), 2);
  const fixed = walls === 'fixed';
  const paints = fixed ? WALL_PAINTS : random.shuffle(WALL_PAINTS);
  const textures = fixed ? WALL_TEXTURES : random.shuffle(WALL_TEXTURES);
  const sides = [0, 1, 2, 3].map((wall) => textures[wall]!(paints[wall]!));
  const decor = [2, 3, 4, 5].flatMap((surface) =>
    drawDecor(random, surface, surface % 2 === 0 ? halfX : halfZ),
  );
  return {
    width: round(2 * halfX),
    depth: round(2 * halfZ),
    height,
    materials: [random.pick(FLOORS), CEILING, ...sides],
    decor,
    light: [
      round(random.uniform(-0.6, 0.6)),
      round(0.35 - height),
      round(random.uniform(-0.6, 0.6)),
    ],
  };
};

/** One or two pieces side by side on a wall. */
const drawDecor = (random: Random, surface: number, half: number): WallDecor[] => {
  const left = drawPiece(random, surface, -half * random.uniform(0.35, 0.5));
  const right = drawPiece(random, surface, half * random.uniform(0.35, 0.5));
  return random.shuffle([left, right]).slice(0, 1 + random.integer(2));
};

const drawPiece = (random: Random, surface: number, along: number): WallDecor => {
  const kind = random.pick(['window', 'door', 'picture', 'picture'] as const);
  const colour = random.pick(DECOR_COLOURS);
  const at = { kind, surface, along: round(along), colour };
  if (kind === 'door') return { ...at, above: 1.02, width: 0.95, height: 2.04 };
  if (kind === 'window') {
    return { ...at, above: 1.5, width: round(random.uniform(1.1, 1.6)), height: 1.15 };
  }
  return {
    ...at,
    above: 1.62,
    width: round(random.uniform(0.6, 1)),
    height: round(random.uniform(0.5, 0.75)),
  };
};
