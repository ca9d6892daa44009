/**
 * What a room is made of. Everything that the renderer needs is here and in the catalogue, so a scene written to a
 * file can be rendered again, exactly, at any size.
 *
 * Room frame: x right, y down, z forward, metres; origin on the floor in the middle of the room, so the floor is y = 0
 * and the ceiling y = −height. Yaw is measured from +z towards +x (clockwise seen from above, turning right is
 * positive), pitch is positive when looking down. Colours are sRGB in 0..1.
 */

export type Vector3 = readonly [number, number, number];

/** The three camera motions of MindCube. */
export type Motion = 'rotation' | 'among' | 'around';
export const MOTIONS: readonly Motion[] = ['rotation', 'among', 'around'];

export const OBJECT_KINDS = [
  'sofa',
  'table',
  'plant',
  'cabinet',
  'lamp',
  'chair',
  'ball',
  'stool',
  'television',
  'bed',
  'bookshelf',
  'box',
] as const;
export type ObjectKind = (typeof OBJECT_KINDS)[number];

export const TEXTURE_KINDS = [
  'plain',
  'checker',
  'stripes',
  'tiles',
  'planks',
  'noise',
  'dots',
  'books',
] as const;
export type TextureKind = (typeof TEXTURE_KINDS)[number];

/** A two-colour procedural texture; `scale` is the size of its motif in metres. */
export interface Material {
  readonly texture: TextureKind;
  readonly colour: Vector3;
  readonly second: Vector3;
  readonly scale: number;
  /** Light that the surface gives off by itself, 0..1. */
  readonly glow: number;
}

/** Floor, ceiling and the walls at +z, +x, −z and −x: also the instance ids 0..5 of the rendered views. */
export const SURFACES = ['floor', 'ceiling', 'north', 'east', 'south', 'west'] as const;
/** Instance id of object k is `FIRST_OBJECT_ID + k`. */
export const FIRST_OBJECT_ID = SURFACES.length;

/** A flat rectangle painted on a wall; it changes colour, not depth. */
export interface WallDecor {
  readonly kind: 'window' | 'door' | 'picture';
  /** 2..5, index into {@link SURFACES}. */
  readonly surface: number;
  /** Centre along the wall (x on north and south, z on east and west) and above the floor, metres. */
  readonly along: number;
  readonly above: number;
  readonly width: number;
  readonly height: number;
  readonly colour: Vector3;
}

export interface Room {
  /** Extents along x and z and the ceiling's height, metres. */
  readonly width: number;
  readonly depth: number;
  readonly height: number;
  /** One material per entry of {@link SURFACES}. */
  readonly materials: readonly Material[];
  readonly decor: readonly WallDecor[];
  /** Position of the lamp under the ceiling. */
  readonly light: Vector3;
}

export interface SceneObject {
  /** Unique in its scene, for example `red sofa`. */
  readonly name: string;
  readonly kind: ObjectKind;
  readonly colour: Vector3;
  /** Centre of the footprint on the floor: x, z. */
  readonly position: readonly [number, number];
  /** Direction that the object's front faces. */
  readonly yawDeg: number;
  /** Width (its own x), height, depth (its own z), metres. */
  readonly size: Vector3;
}

export interface SceneCamera {
  readonly position: Vector3;
  readonly yawDeg: number;
  readonly pitchDeg: number;
  /** Horizontal field of view. */
  readonly fovDeg: number;
}

export interface Scene {
  readonly seed: number;
  readonly motion: Motion;
  /** Turn between neighbouring cameras, degrees; positive is to the right (rotation) or clockwise seen from above. */
  readonly stepDeg: number;
  readonly room: Room;
  readonly objects: readonly SceneObject[];
  /** Index of the object that all cameras look at; only in `among`. */
  readonly centre?: number;
  readonly cameras: readonly SceneCamera[];
}
