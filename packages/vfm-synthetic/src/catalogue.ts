import type { Material, ObjectKind, SceneObject, TextureKind, Vector3 } from './scene.js';

/**
 * A solid in its object's frame (x right, y down, z towards the object's front, origin on the floor under the middle).
 * `box` and `ellipsoid`: half extents. `frustum` (vertical axis): [radius below, half height, radius above].
 */
export interface Primitive {
  readonly shape: 'box' | 'frustum' | 'ellipsoid';
  readonly centre: Vector3;
  readonly half: Vector3;
  readonly material: Material;
}

export interface CatalogueEntry {
  readonly kind: ObjectKind;
  /** Word before the kind in the object's name. */
  readonly word: string;
  readonly colour: Vector3;
  /** Width, height, depth in metres before the scene's own scaling. */
  readonly size: Vector3;
  /** `wall` pieces stand with their back to a wall. */
  readonly stands: 'wall' | 'floor';
  /** Small and low enough to be looked at from all sides without hiding the room. */
  readonly central: boolean;
}

const entry = (
  kind: ObjectKind,
  word: string,
  colour: Vector3,
  size: Vector3,
  stands: 'wall' | 'floor',
  central: boolean,
): CatalogueEntry => ({ kind, word, colour, size, stands, central });

/** The objects of a room. Words and colours are all different, so a name alone identifies an object. */
export const CATALOGUE: readonly CatalogueEntry[] = [
  entry('sofa', 'red', [0.82, 0.16, 0.15], [1.9, 0.85, 0.9], 'wall', false),
  entry('table', 'wooden', [0.62, 0.4, 0.22], [1.2, 0.74, 0.8], 'floor', true),
  entry('plant', 'green', [0.18, 0.55, 0.2], [0.7, 1.25, 0.7], 'floor', true),
  entry('cabinet', 'blue', [0.14, 0.32, 0.76], [1.1, 1.15, 0.48], 'wall', false),
  entry('lamp', 'white', [0.97, 0.95, 0.88], [0.46, 1.6, 0.46], 'floor', true),
  entry('chair', 'yellow', [0.95, 0.78, 0.12], [0.5, 0.95, 0.52], 'floor', true),
  entry('ball', 'purple', [0.52, 0.2, 0.7], [0.56, 0.56, 0.56], 'floor', true),
  entry('stool', 'orange', [0.95, 0.48, 0.1], [0.46, 0.56, 0.46], 'floor', true),
  entry('television', 'black', [0.08, 0.08, 0.1], [1.35, 1.2, 0.42], 'wall', false),
  entry('bed', 'pink', [0.95, 0.56, 0.68], [1.4, 0.95, 2.0], 'wall', false),
  entry('bookshelf', 'gray', [0.5, 0.51, 0.53], [1.0, 1.75, 0.36], 'wall', false),
  entry('box', 'cyan', [0.16, 0.72, 0.78], [0.62, 0.56, 0.62], 'floor', true),
];

/** Colours by word for rooms whose objects change colour from scene to scene. */
export const COLOUR_WORDS: readonly { readonly word: string; readonly colour: Vector3 }[] =
  CATALOGUE.map(({ word, colour }) => ({ word: word === 'wooden' ? 'brown' : word, colour }));

const tint = (colour: Vector3, factor: number): Vector3 => [
  Math.min(1, colour[0] * factor),
  Math.min(1, colour[1] * factor),
  Math.min(1, colour[2] * factor),
];
const mix = (a: Vector3, b: Vector3, share: number): Vector3 => [
  a[0] + (b[0] - a[0]) * share,
  a[1] + (b[1] - a[1]) * share,
  a[2] + (b[2] - a[2]) * share,
];
const WHITE: Vector3 = [1, 1, 1];
const DARK_WOOD: Vector3 = [0.36, 0.22, 0.13];

const surface = (
  texture: TextureKind,
  colour: Vector3,
  second: Vector3 = tint(colour, 0.8),
  scale = 0.1,
  glow = 0,
): Material => ({ texture, colour, second, scale, glow });

const box = (centre: Vector3, size: Vector3, material: Material): Primitive => ({
  shape: 'box',
  centre,
  half: [size[0] / 2, size[1] / 2, size[2] / 2],
  material,
});
const frustum = (
  x: number,
  z: number,
  [bottom, top]: readonly [number, number],
  [below, above]: readonly [number, number],
  material: Material,
): Primitive => ({
  shape: 'frustum',
  centre: [x, -(bottom + top) / 2, z],
  half: [below, (top - bottom) / 2, above],
  material,
});
const ellipsoid = (centre: Vector3, half: Vector3, material: Material): Primitive => ({
  shape: 'ellipsoid',
  centre,
  half,
  material,
});

/** A box given by its lower and upper height above the floor. */
const slab = (
  x: number,
  z: number,
  [bottom, top]: readonly [number, number],
  [width, depth]: readonly [number, number],
  material: Material,
): Primitive => box([x, -(bottom + top) / 2, z], [width, top - bottom, depth], material);

/** Four posts under the corners of a w × d plate. */
const legs = (w: number, d: number, height: number, thick: number, material: Material) =>
  [-1, 1].flatMap((sx) =>
    [-1, 1].map((sz) =>
      slab((sx * (w - thick)) / 2, (sz * (d - thick)) / 2, [0, height], [thick, thick], material),
    ),
  );

type Builder = (size: Vector3, colour: Vector3) => Primitive[];

const sofa: Builder = ([w, h, d], colour) => {
  const cloth = surface('noise', colour, tint(colour, 0.82), 0.04);
  const cushion = surface('noise', mix(colour, WHITE, 0.12), colour, 0.05);
  const arm = 0.11 * w;
  const inner = (w - 2 * arm) / 2;
  return [
    slab(0, 0, [0.08, 0.45 * h], [w, d], cloth),
    slab(0, -0.39 * d, [0.45 * h, h], [w, 0.22 * d], cloth),
    slab(-(w - arm) / 2, 0.1 * d, [0.45 * h, 0.72 * h], [arm, 0.78 * d], cloth),
    slab((w - arm) / 2, 0.1 * d, [0.45 * h, 0.72 * h], [arm, 0.78 * d], cloth),
    slab(-inner / 2, 0.1 * d, [0.45 * h, 0.6 * h], [inner * 0.96, 0.74 * d], cushion),
    slab(inner / 2, 0.1 * d, [0.45 * h, 0.6 * h], [inner * 0.96, 0.74 * d], cushion),
    ...legs(w * 0.95, d * 0.9, 0.08, 0.07, surface('plain', DARK_WOOD)),
  ];
};

const table: Builder = ([w, h, d], colour) => {
  const wood = surface('planks', colour, tint(colour, 0.72), 0.16);
  return [
    slab(0, 0, [h - 0.06, h], [w, d], wood),
    slab(0, 0, [h - 0.15, h - 0.06], [w * 0.88, d * 0.84], surface('plain', tint(colour, 0.75))),
    ...legs(w * 0.94, d * 0.92, h - 0.06, 0.08, surface('plain', tint(colour, 0.85))),
  ];
};

const plant: Builder = ([w, h, d], colour) => {
  const leaf = surface('noise', colour, mix(colour, [0.5, 0.8, 0.3], 0.45), 0.07);
  const light = surface('noise', mix(colour, [0.45, 0.75, 0.25], 0.35), colour, 0.06);
  const pot = surface('stripes', [0.78, 0.42, 0.28], [0.68, 0.34, 0.22], 0.09);
  const [rx, rz] = [w / 2, d / 2];
  const ball = (x: number, y: number, z: number, r: number, material: Material) =>
    ellipsoid([x * rx, -y * h, z * rz], [r * rx, r * 0.36 * h, r * rz], material);
  return [
    frustum(0, 0, [0, 0.28 * h], [0.36 * rx, 0.52 * rx], pot),
    frustum(0, 0, [0.28 * h, 0.5 * h], [0.08 * rx, 0.07 * rx], surface('plain', DARK_WOOD)),
    ball(0, 0.62, 0, 0.66, leaf),
    ball(-0.45, 0.55, 0.2, 0.5, light),
    ball(0.48, 0.58, -0.15, 0.5, leaf),
    ball(0.1, 0.52, 0.5, 0.45, leaf),
    ball(-0.1, 0.6, -0.5, 0.45, light),
    ball(0.05, 0.82, 0.05, 0.48, light),
  ];
};

const cabinet: Builder = ([w, h, d], colour) => {
  const panel = surface('plain', mix(colour, WHITE, 0.12));
  const knob = surface('plain', [0.9, 0.85, 0.6]);
  const front = d / 2 - 0.04;
  return [
    slab(0, -0.02, [0.06, h], [w, d - 0.04], surface('plain', colour)),
    slab(0, -0.01, [h - 0.04, h], [w, d - 0.02], surface('plain', tint(colour, 0.7))),
    slab(-w / 4, front, [0.12, h - 0.1], [w * 0.43, 0.03], panel),
    slab(w / 4, front, [0.12, h - 0.1], [w * 0.43, 0.03], panel),
    ellipsoid([-0.07 * w, -0.55 * h, front + 0.015], [0.025, 0.025, 0.025], knob),
    ellipsoid([0.07 * w, -0.55 * h, front + 0.015], [0.025, 0.025, 0.025], knob),
    slab(0, 0, [0, 0.06], [w * 0.9, d * 0.8], surface('plain', tint(colour, 0.4))),
  ];
};

const lamp: Builder = ([w, h, d], colour) => {
  const metal = surface('plain', [0.3, 0.3, 0.33]);
  const r = Math.min(w, d) / 2;
  return [
    frustum(0, 0, [0, 0.03], [0.6 * r, 0.55 * r], metal),
    frustum(0, 0, [0.03, 0.78 * h], [0.025, 0.02], metal),
    frustum(0, 0, [0.74 * h, h], [r, 0.6 * r], surface('plain', colour, colour, 0.1, 0.68)),
  ];
};

const chair: Builder = ([w, h, d], colour) => {
  const seat = 0.48 * h;
  const wood = surface('plain', colour);
  const bar = 0.05;
  return [
    slab(0, 0, [seat - 0.05, seat], [w, d], surface('plain', mix(colour, WHITE, 0.1))),
    ...legs(w * 0.96, d * 0.96, seat - 0.05, bar, wood),
    slab(-(w - bar) / 2, -(d - bar) / 2, [seat, h], [bar, bar], wood),
    slab((w - bar) / 2, -(d - bar) / 2, [seat, h], [bar, bar], wood),
    slab(0, -(d - bar) / 2, [seat + 0.2 * h, h], [w - 2 * bar, 0.03], wood),
  ];
};

const ball: Builder = ([w, h, d], colour) => [
  ellipsoid(
    [0, -h / 2, 0],
    [w / 2, h / 2, d / 2],
    surface('stripes', colour, mix(colour, WHITE, 0.45), h / 2.5),
  ),
];

const stool: Builder = ([w, h, d], colour) => {
  const r = Math.min(w, d) / 2;
  const leg = surface('plain', DARK_WOOD);
  const at = 0.6 * r;
  return [
    frustum(0, 0, [h - 0.1, h], [r, r], surface('plain', colour)),
    ...[-1, 1].flatMap((x) =>
      [-1, 1].map((z) => frustum(x * at, z * at, [0, h - 0.1], [0.022, 0.028], leg)),
    ),
    frustum(0, 0, [0.3 * h, 0.36 * h], [at * 1.25, at * 1.25], leg),
  ];
};

const television: Builder = ([w, h, d], colour) => {
  const cabinetTop = 0.36 * h;
  const body = surface('planks', [0.3, 0.24, 0.2], [0.22, 0.17, 0.14], 0.2);
  return [
    slab(0, 0, [0.05, cabinetTop], [w, d], body),
    slab(0, 0, [0, 0.05], [w * 0.9, d * 0.8], surface('plain', [0.12, 0.1, 0.09])),
    slab(
      0,
      -0.1 * d,
      [cabinetTop, cabinetTop + 0.08],
      [0.3 * w, 0.3 * d],
      surface('plain', colour),
    ),
    slab(0, -0.1 * d, [cabinetTop + 0.06, h], [w * 0.94, 0.07], surface('plain', colour)),
    slab(
      0,
      -0.1 * d + 0.036,
      [cabinetTop + 0.1, h - 0.04],
      [w * 0.9, 0.01],
      surface('plain', mix(colour, [0.2, 0.3, 0.45], 0.35)),
    ),
  ];
};

const bed: Builder = ([w, h, d], colour) => {
  const blanket = surface('checker', colour, mix(colour, WHITE, 0.3), 0.2);
  const sheet = surface('plain', [0.96, 0.95, 0.93]);
  const wood = surface('planks', [0.66, 0.48, 0.32], [0.56, 0.4, 0.26], 0.2);
  const back = -d / 2;
  return [
    slab(0, 0, [0.08, 0.3 * h], [w, d], wood),
    slab(0, 0.02, [0.3 * h, 0.52 * h], [w * 0.96, d * 0.95], sheet),
    slab(0, 0.14 * d, [0.3 * h, 0.56 * h], [w * 0.98, d * 0.7], blanket),
    slab(0, back + 0.04, [0.08, h], [w, 0.08], wood),
    ellipsoid([-w / 4, -0.57 * h, back + 0.17 * d], [0.2 * w, 0.08, 0.1 * d], sheet),
    ellipsoid([w / 4, -0.57 * h, back + 0.17 * d], [0.2 * w, 0.08, 0.1 * d], sheet),
  ];
};

const BOOKS: readonly (readonly [Vector3, Vector3])[] = [
  [
    [0.7, 0.32, 0.26],
    [0.92, 0.82, 0.6],
  ],
  [
    [0.25, 0.36, 0.5],
    [0.8, 0.76, 0.68],
  ],
  [
    [0.35, 0.45, 0.32],
    [0.85, 0.66, 0.4],
  ],
];

const bookshelf: Builder = ([w, h, d], colour) => {
  const wood = surface('plain', colour);
  const board = 0.035;
  const shelves = [0.04, 0.27, 0.5, 0.73, 0.98].map((share) => share * h);
  const rows = BOOKS.concat(BOOKS)
    .slice(0, 4)
    .map(([first, second], row) => {
      const bottom = shelves[row]! + board / 2;
      const top = bottom + 0.155 * h;
      return slab(
        0,
        0.02,
        [bottom, top],
        [w * 0.88, d * 0.72],
        surface('books', first, second, 0.05),
      );
    });
  return [
    slab(-(w - board) / 2, 0, [0, h], [board, d], wood),
    slab((w - board) / 2, 0, [0, h], [board, d], wood),
    slab(0, -(d - 0.02) / 2, [0, h], [w, 0.02], surface('plain', tint(colour, 0.75))),
    ...shelves.map((y) => slab(0, 0, [y - board / 2, y + board / 2], [w - 2 * board, d], wood)),
    ...rows,
  ];
};

const crate: Builder = ([w, h, d], colour) => {
  const edge = surface('plain', tint(colour, 0.7));
  return [
    slab(0, 0, [0, h - 0.07], [w * 0.96, d * 0.96], surface('dots', colour, WHITE, 0.16)),
    slab(0, 0, [h - 0.08, h], [w, d], edge),
  ];
};

const BUILDERS: Readonly<Record<ObjectKind, Builder>> = {
  sofa,
  table,
  plant,
  cabinet,
  lamp,
  chair,
  ball,
  stool,
  television,
  bed,
  bookshelf,
  box: crate,
};

/** Solids of one object, in the object's own frame. */
export const primitivesOf = (object: SceneObject): Primitive[] =>
  BUILDERS[object.kind](object.size, object.colour);
