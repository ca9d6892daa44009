import type { Random } from '@spatialsv/core/kit';
import { radians } from './camera.js';
import { type CameraPath, type FloorPoint, headingVector, type KeepOut } from './camera-path.js';
import { CATALOGUE, type CatalogueEntry, COLOUR_WORDS } from './catalogue.js';
import type { RoomSize } from './room-style.js';
import { round } from './round.js';
import type { Motion, SceneObject, Vector3 } from './scene.js';

/** Gap between the bounding rectangles of two objects, and between an object and a wall. */
const OBJECT_GAP = 0.18;
const WALL_GAP = 0.03;
const TRIES = 40;

/** Axis-aligned bounding rectangle of a footprint. */
interface Footprint {
  readonly x: number;
  readonly z: number;
  readonly halfX: number;
  readonly halfZ: number;
}

export interface FurnishOptions {
  readonly motion: Motion;
  readonly count: number;
  readonly colours: 'catalogue' | 'shuffled';
}

/** A kind with the name, colour and size that it has in this scene. */
interface Piece extends Omit<SceneObject, 'position' | 'yawDeg'> {
  readonly stands: 'wall' | 'floor';
  readonly central: boolean;
}

/**
 * Places `count` objects without overlap, off the cameras and off their lines of sight to the focus.
 * @returns undefined when they do not fit. In `among` object 0 is the centre, in `around` the first ones are the group.
 */
export const furnish = (
  random: Random,
  room: RoomSize,
  path: CameraPath,
  options: FurnishOptions,
): SceneObject[] | undefined => {
  const pieces = drawPieces(random, options);
  const inMiddle = middleCount(random, options);
  const middle = pieces.filter(({ central }) => central).slice(0, inMiddle);
  const others = pieces
    .filter((piece) => !middle.includes(piece))
    .slice(0, options.count - inMiddle);
  const placed: SceneObject[] = [];
  for (const piece of middle) {
    const object = placeInMiddle(random, piece, path.focus, placed, middle.length === 1 ? 0 : 1.05);
    if (object === undefined) return undefined;
    placed.push(object);
  }
  const sectors = random.shuffle([0, 1, 2, 3]);
  for (const [k, piece] of others.entries()) {
    const object = placeInSurroundings(random, piece, sectors[k % 4]!, { room, path, placed });
    if (object === undefined) return undefined;
    placed.push(object);
  }
  return placed;
};

const middleCount = (random: Random, { motion, count }: FurnishOptions): number => {
  if (motion === 'rotation') return 0;
  return motion === 'among' ? 1 : Math.min(2 + random.integer(3), count - 2);
};

const drawPieces = (random: Random, { colours }: FurnishOptions): Piece[] => {
  const paints = colours === 'shuffled' ? random.shuffle(COLOUR_WORDS) : CATALOGUE;
  const pieces = CATALOGUE.map((item, k) => makePiece(random, item, paints[k]!));
  return random.shuffle(pieces);
};

const makePiece = (
  random: Random,
  { kind, size, stands, central }: CatalogueEntry,
  paint: { readonly word: string; readonly colour: Vector3 },
): Piece => {
  const scale = random.uniform(0.92, 1.08);
  return {
    name: `${paint.word} ${kind}`,
    kind,
    colour: paint.colour,
    size: [round(size[0] * scale), round(size[1] * scale), round(size[2] * scale)],
    stands,
    central,
  };
};

const stand = (piece: Piece, position: FloorPoint, yawDeg: number): SceneObject => ({
  name: piece.name,
  kind: piece.kind,
  colour: piece.colour,
  position: [round(position[0]), round(position[1])],
  yawDeg: round(((yawDeg % 360) + 360) % 360, 2),
  size: piece.size,
});

const placeInMiddle = (
  random: Random,
  piece: Piece,
  focus: FloorPoint,
  placed: readonly SceneObject[],
  spread: number,
): SceneObject | undefined => {
  for (let attempt = 0; attempt < TRIES; attempt++) {
    const reach = spread * Math.sqrt(random.uniform());
    const [x, z] = headingVector(random.uniform(0, 360));
    const at: FloorPoint = [focus[0] + reach * x, focus[1] + reach * z];
    const object = stand(piece, at, random.uniform(0, 360));
    if (!overlapsAny(footprintOf(object), placed)) return object;
  }
  return undefined;
};

interface Surroundings {
  readonly room: RoomSize;
  readonly path: CameraPath;
  readonly placed: readonly SceneObject[];
}

const placeInSurroundings = (
  random: Random,
  piece: Piece,
  sector: number,
  { room, path, placed }: Surroundings,
): SceneObject | undefined => {
  for (let attempt = 0; attempt < TRIES; attempt++) {
    // Every ten failures the next sector is tried.
    const heading =
      path.headingDeg + 90 * (sector + Math.floor(attempt / 10)) + random.uniform(-38, 38);
    const object =
      piece.stands === 'wall'
        ? againstWall(piece, path.focus, heading, room)
        : onFloor(random, piece, path, heading, room);
    if (object !== undefined && fits(object, { room, path, placed })) return object;
  }
  return undefined;
};

/** Distance from a point to the walls along a heading, and the wall's heading (0 north, 90 east, …). */
const wallAhead = (
  [x, z]: FloorPoint,
  heading: number,
  { halfX, halfZ }: RoomSize,
): { distance: number; facing: number } => {
  const [dx, dz] = headingVector(heading);
  const toX = (dx > 0 ? halfX - x : -halfX - x) / dx;
  const toZ = (dz > 0 ? halfZ - z : -halfZ - z) / dz;
  return toX < toZ
    ? { distance: toX, facing: dx > 0 ? 90 : 270 }
    : { distance: toZ, facing: dz > 0 ? 0 : 180 };
};

const againstWall = (
  piece: Piece,
  focus: FloorPoint,
  heading: number,
  room: RoomSize,
): SceneObject => {
  const { distance, facing } = wallAhead(focus, heading, room);
  const [dx, dz] = headingVector(heading);
  const [nx, nz] = headingVector(facing);
  const back = piece.size[2] / 2 + WALL_GAP;
  const hit: FloorPoint = [focus[0] + distance * dx, focus[1] + distance * dz];
  return stand(piece, [hit[0] - back * nx, hit[1] - back * nz], facing + 180);
};

const onFloor = (
  random: Random,
  piece: Piece,
  path: CameraPath,
  heading: number,
  room: RoomSize,
): SceneObject | undefined => {
  const farthest = wallAhead(path.focus, heading, room).distance - piece.size[0] / 2;
  if (farthest < path.clear) return undefined;
  const distance = random.uniform(path.clear, farthest);
  const [dx, dz] = headingVector(heading);
  const at: FloorPoint = [path.focus[0] + distance * dx, path.focus[1] + distance * dz];
  return stand(piece, at, random.uniform(0, 360));
};

const footprintOf = ({ position, yawDeg, size }: SceneObject): Footprint => {
  const cos = Math.abs(Math.cos(radians(yawDeg)));
  const sin = Math.abs(Math.sin(radians(yawDeg)));
  return {
    x: position[0],
    z: position[1],
    halfX: (cos * size[0] + sin * size[2]) / 2,
    halfZ: (sin * size[0] + cos * size[2]) / 2,
  };
};

const overlapsAny = (a: Footprint, placed: readonly SceneObject[]): boolean =>
  placed.some((object) => {
    const b = footprintOf(object);
    return (
      Math.abs(a.x - b.x) < a.halfX + b.halfX + OBJECT_GAP &&
      Math.abs(a.z - b.z) < a.halfZ + b.halfZ + OBJECT_GAP
    );
  });

const fits = (object: SceneObject, { room, path, placed }: Surroundings): boolean => {
  const foot = footprintOf(object);
  if (Math.abs(foot.x) + foot.halfX > room.halfX - WALL_GAP / 2) return false;
  if (Math.abs(foot.z) + foot.halfZ > room.halfZ - WALL_GAP / 2) return false;
  return !overlapsAny(foot, placed) && !path.keepOut.some((zone) => intrudes(foot, zone));
};

/** Whether the rectangle comes nearer to the segment than its radius, at eleven points of the segment. */
const intrudes = (foot: Footprint, { from, to, radius }: KeepOut): boolean => {
  for (let step = 0; step <= 10; step++) {
    const x = from[0] + ((to[0] - from[0]) * step) / 10;
    const z = from[1] + ((to[1] - from[1]) * step) / 10;
    const dx = Math.max(0, Math.abs(x - foot.x) - foot.halfX);
    const dz = Math.max(0, Math.abs(z - foot.z) - foot.halfZ);
    if (dx * dx + dz * dz < radius * radius) return true;
  }
  return false;
};
