import { TEXTURE_KINDS, type TextureKind } from './scene.js';

/** Small integer code of a texture, its index in {@link TEXTURE_KINDS}. */
export const textureCode = (kind: TextureKind): number => TEXTURE_KINDS.indexOf(kind);

/** Integer lattice hash to [0, 1); integer arithmetic only, so every machine agrees. */
const hash = (x: number, y: number): number => {
  let h = Math.imul(x, 0x27d4eb2d) ^ Math.imul(y, 0x165667b1);
  h = Math.imul(h ^ (h >>> 15), 0x2c1b3c6d);
  h = Math.imul(h ^ (h >>> 12), 0x297a2d39);
  return ((h ^ (h >>> 15)) >>> 0) / 4294967296;
};

/** Smooth value noise with unit lattice spacing, in [0, 1). */
const valueNoise = (u: number, v: number): number => {
  const [x, y] = [Math.floor(u), Math.floor(v)];
  const fx = u - x;
  const fy = v - y;
  const sx = fx * fx * (3 - 2 * fx);
  const sy = fy * fy * (3 - 2 * fy);
  const top = hash(x, y) + (hash(x + 1, y) - hash(x, y)) * sx;
  const bottom = hash(x, y + 1) + (hash(x + 1, y + 1) - hash(x, y + 1)) * sx;
  return top + (bottom - top) * sy;
};

const checker = (u: number, v: number): number => (Math.floor(u) + Math.floor(v)) & 1;
const stripes = (u: number): number => Math.floor(u) & 1;

const tiles = (u: number, v: number): number => {
  const [x, y] = [Math.floor(u), Math.floor(v)];
  if (u - x < 0.05 || v - y < 0.05) return 1;
  return 0.35 * hash(x, y);
};

const planks = (u: number, v: number): number => {
  const row = Math.floor(v);
  const along = u / 6 + hash(row, 7);
  const board = Math.floor(along);
  if (v - row < 0.05 || along - board < 0.01) return 1;
  return 0.55 * hash(board, row) + 0.3 * valueNoise(u * 0.7 + 31 * row, v * 6);
};

const noise = (u: number, v: number): number =>
  0.65 * valueNoise(u, v) + 0.35 * valueNoise(2.7 * u + 17, 2.7 * v + 5);

const dots = (u: number, v: number): number => {
  const x = u - Math.floor(u) - 0.5;
  const y = v - Math.floor(v) - 0.5;
  return x * x + y * y < 0.06 ? 1 : 0;
};

const books = (u: number): number => hash(Math.floor(u), 3);

/**
 * Share of the second colour at a point of the surface.
 * @param code of {@link textureCode}.
 * @param u @param v position on the surface in metres.
 * @param scale size of the motif in metres.
 */
export const textureShare = (code: number, u: number, v: number, scale: number): number => {
  const x = u / scale;
  const y = v / scale;
  switch (code) {
    case 1:
      return checker(x, y);
    case 2:
      return stripes(x);
    case 3:
      return tiles(x, y);
    case 4:
      return planks(x, y);
    case 5:
      return noise(x, y);
    case 6:
      return dots(x, y);
    case 7:
      return books(x);
    default:
      return 0;
  }
};
