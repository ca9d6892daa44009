/**
 * Colours: two-colour procedural textures under a lamp at the ceiling, soft daylight from one side, darkening in the
 * room's edges and under objects. A pixel takes only + − × ÷ √, so images are equal on every machine.
 */
import { BOX, type CompiledScene, FRUSTUM, SOLID_STRIDE } from './compiled-scene.js';
import type { RayCaster } from './ray-caster.js';
import { FIRST_OBJECT_ID, type Material, type Vector3, type WallDecor } from './scene.js';
import { textureCode, textureShare } from './textures.js';

const AMBIENT = 0.5;
/** Light that the floor throws back on surfaces that face down. */
const BOUNCE = 0.16;
const LAMP = 0.74;
const DAYLIGHT = 0.2;
/** Unit vector towards the daylight, room frame (y down). */
const DAYLIGHT_FROM: Vector3 = [0.48, -0.6, -0.64];
/** Metres over which edges and objects darken the surface next to them. */
const EDGE_REACH = 0.7;
const SHADOW_REACH = 0.4;

/** Numbers per material: colour (3), second colour (3), scale, glow; colours linear. */
const MATERIAL_STRIDE = 8;

/** Scene display colour → linear light (gamma 2, exact in floating point). */
const linear = (value: number): number => value * value;

export class Shader {
  /** Linear colour of the last shaded point. */
  readonly colour = new Float64Array(3);
  /** Linear albedo of the last shaded point, without light. */
  readonly albedo = new Float64Array(3);
  /** Unit room-frame normal of the last shaded point. */
  readonly normal = new Float64Array(3);

  private readonly caster: RayCaster;
  private readonly compiled: CompiledScene;
  private readonly codes: Uint8Array;
  private readonly materials: Float64Array;
  private readonly shadows: Float64Array;
  private readonly decor: readonly (readonly WallDecor[])[];
  /** Hit point in the room frame (3) and in its solid's frame (3). */
  private readonly point = new Float64Array(6);

  constructor(caster: RayCaster) {
    this.caster = caster;
    this.compiled = caster.compiled;
    const { scene, primitives } = this.compiled;
    const all = [...scene.room.materials, ...primitives.map(({ material }) => material)];
    this.codes = Uint8Array.from(all, ({ texture }) => textureCode(texture));
    this.materials = Float64Array.from(all.flatMap(packMaterial));
    this.shadows = packShadows(this.compiled);
    this.decor = scene.room.materials.map((_, surface) =>
      scene.room.decor.filter((piece) => piece.surface === surface),
    );
  }

  /** Computes {@link albedo}, {@link normal} and {@link colour} of a hit at normalised image position (x, y). */
  shade(x: number, y: number, depth: number, material: number, face: number): void {
    const { caster, point } = this;
    for (let axis = 0; axis < 3; axis++) {
      point[axis] = caster.centre[axis]! + depth * caster.direction(axis, x, y);
    }
    const onObject = material >= FIRST_OBJECT_ID;
    if (onObject) this.surfaceOfSolid(material - FIRST_OBJECT_ID, face, material);
    else this.surfaceOfRoom(material);
    const occlusion = onObject ? this.objectOcclusion() : this.roomOcclusion(material);
    this.light(occlusion, this.materials[material * MATERIAL_STRIDE + 7]!);
  }

  private light(occlusion: number, glow: number): void {
    const { point, normal, colour, albedo } = this;
    const lamp = this.compiled.scene.room.light;
    const lx = lamp[0] - point[0]!;
    const ly = lamp[1] - point[1]!;
    const lz = lamp[2] - point[2]!;
    const squared = lx * lx + ly * ly + lz * lz;
    const cosine = (normal[0]! * lx + normal[1]! * ly + normal[2]! * lz) / Math.sqrt(squared);
    const sun =
      normal[0]! * DAYLIGHT_FROM[0] + normal[1]! * DAYLIGHT_FROM[1] + normal[2]! * DAYLIGHT_FROM[2];
    const direct = (Math.max(0, cosine) * LAMP) / (1 + 0.035 * squared);
    const diffuse =
      (AMBIENT + BOUNCE * Math.max(0, normal[1]!)) * occlusion + direct * (0.35 + 0.65 * occlusion);
    const total = Math.max(diffuse + DAYLIGHT * Math.max(0, sun), glow * 1.6);
    for (let c = 0; c < 3; c++) colour[c] = albedo[c]! * total;
  }

  private setAlbedo(material: number, u: number, v: number): void {
    const o = material * MATERIAL_STRIDE;
    const m = this.materials;
    const share = textureShare(this.codes[material]!, u, v, m[o + 6]!);
    for (let c = 0; c < 3; c++) this.albedo[c] = m[o + c]! + share * (m[o + 3 + c]! - m[o + c]!);
  }

  private setNormal(x: number, y: number, z: number): void {
    this.normal[0] = x;
    this.normal[1] = y;
    this.normal[2] = z;
  }

  private surfaceOfRoom(surface: number): void {
    const [x, y, z] = [this.point[0]!, this.point[1]!, this.point[2]!];
    if (surface < 2) {
      this.setNormal(0, surface === 0 ? -1 : 1, 0);
      this.setAlbedo(surface, x, z);
      return;
    }
    const alongX = surface === 2 || surface === 4;
    const sign = surface === 2 || surface === 3 ? -1 : 1;
    this.setNormal(alongX ? 0 : sign, 0, alongX ? sign : 0);
    const along = alongX ? x : z;
    this.setAlbedo(surface, along, y);
    this.paintSkirting(y);
    for (const piece of this.decor[surface]!) this.paintDecor(piece, along, -y);
  }

  private paintSkirting(y: number): void {
    if (y < -0.1) return;
    for (let c = 0; c < 3; c++) this.albedo[c] = 0.82;
  }

  private paintDecor(piece: WallDecor, along: number, above: number): void {
    const u = (along - piece.along) / (piece.width / 2);
    const v = (above - piece.above) / (piece.height / 2);
    if (u < -1 || u > 1 || v < -1 || v > 1) return;
    const inset = piece.kind === 'picture' ? 0.86 : 0.88;
    const framed = Math.abs(u) > inset || (Math.abs(v) > inset + 0.04 && piece.kind !== 'door');
    if (piece.kind === 'window') this.paintWindow(u, v, framed);
    else if (piece.kind === 'door') this.paintDoor(piece, u, v, framed);
    else this.paintPicture(piece, u, v, framed);
  }

  private setPaint(r: number, g: number, b: number): void {
    this.albedo[0] = linear(r);
    this.albedo[1] = linear(g);
    this.albedo[2] = linear(b);
  }

  private paintWindow(u: number, v: number, framed: boolean): void {
    if (framed || Math.abs(u) < 0.035 || Math.abs(v) < 0.03) this.setPaint(0.97, 0.97, 0.95);
    else if (v < -0.35 + 0.12 * u) this.setPaint(0.62, 0.8, 0.5);
    else this.setPaint(0.68 + 0.14 * (1 - v), 0.86 + 0.06 * (1 - v), 1);
  }

  private paintDoor(piece: WallDecor, u: number, v: number, framed: boolean): void {
    const [r, g, b] = piece.colour;
    const panel = Math.abs(u) < 0.6 && Math.abs(Math.abs(v) - 0.47) < 0.36;
    const knob = u > 0.66 && u < 0.78 && Math.abs(v) < 0.035;
    if (knob) this.setPaint(0.85, 0.78, 0.5);
    else if (framed) this.setPaint(r * 0.7, g * 0.7, b * 0.7);
    else if (panel) this.setPaint(r * 0.88, g * 0.88, b * 0.88);
    else this.setPaint(r, g, b);
  }

  private paintPicture(piece: WallDecor, u: number, v: number, framed: boolean): void {
    const [r, g, b] = piece.colour;
    const disc = (u - 0.25) * (u - 0.25) + (v - 0.3) * (v - 0.3) < 0.08;
    if (framed) this.setPaint(0.22, 0.17, 0.13);
    else if (Math.abs(u) > 0.7 || Math.abs(v) > 0.72) this.setPaint(0.96, 0.95, 0.9);
    else if (disc) this.setPaint(0.98, 0.85, 0.5);
    else if (v < -0.1 + 0.3 * u * u) this.setPaint(r * 0.75, g * 0.75, b * 0.75);
    else this.setPaint(0.6 + 0.4 * r, 0.6 + 0.4 * g, 0.6 + 0.4 * b);
  }

  /** Local hit point, local normal turned into the room, texture coordinates by face. */
  private surfaceOfSolid(s: number, face: number, material: number): void {
    const { solids, shapes } = this.compiled;
    const o = s * SOLID_STRIDE;
    const [cos, sin] = [solids[o + 3]!, solids[o + 4]!];
    const rx = this.point[0]! - solids[o]!;
    const rz = this.point[2]! - solids[o + 2]!;
    const x = cos * rx - sin * rz;
    const y = this.point[1]! - solids[o + 1]!;
    const z = sin * rx + cos * rz;
    const shape = shapes[s]!;
    if (shape === BOX) this.boxSurface(material, face, x, y, z);
    else if (shape === FRUSTUM) this.frustumSurface(material, face, o, x, y, z);
    else this.ellipsoidSurface(material, o, x, y, z);
    const [nx, nz] = [this.normal[0]!, this.normal[2]!];
    this.setNormal(cos * nx + sin * nz, this.normal[1]!, cos * nz - sin * nx);
  }

  private boxSurface(material: number, face: number, x: number, y: number, z: number): void {
    const sign = face & 1 ? 1 : -1;
    if (face < 2) {
      this.setNormal(sign, 0, 0);
      this.setAlbedo(material, z, y);
    } else if (face < 4) {
      this.setNormal(0, sign, 0);
      this.setAlbedo(material, x, z);
    } else {
      this.setNormal(0, 0, sign);
      this.setAlbedo(material, x, y);
    }
  }

  private frustumSurface(
    material: number,
    face: number,
    o: number,
    x: number,
    y: number,
    z: number,
  ): void {
    if (face > 0) {
      this.setNormal(0, face === 1 ? -1 : 1, 0);
      this.setAlbedo(material, x, z);
      return;
    }
    const { solids } = this.compiled;
    const slope = (solids[o + 5]! - solids[o + 7]!) / (2 * solids[o + 6]!);
    const radius = Math.sqrt(x * x + z * z);
    const down = -slope * radius;
    const length = Math.sqrt(x * x + down * down + z * z) || 1;
    this.setNormal(x / length, down / length, z / length);
    this.setAlbedo(material, y, x);
  }

  private ellipsoidSurface(material: number, o: number, x: number, y: number, z: number): void {
    const { solids } = this.compiled;
    const [rx, ry, rz] = [solids[o + 5]!, solids[o + 6]!, solids[o + 7]!];
    const [nx, ny, nz] = [x / (rx * rx), y / (ry * ry), z / (rz * rz)];
    const length = Math.sqrt(nx * nx + ny * ny + nz * nz) || 1;
    this.setNormal(nx / length, ny / length, nz / length);
    this.setAlbedo(material, y, x + 0.5 * z);
  }

  /** Darker towards the floor, brighter on upward faces is left to the lamp. */
  private objectOcclusion(): number {
    const above = -this.point[1]!;
    const near = above < 0.35 ? 1 - above / 0.35 : 0;
    return 1 - 0.35 * near * near;
  }

  private roomOcclusion(surface: number): number {
    const [halfX, height, halfZ] = this.compiled.room;
    const [x, y, z] = [this.point[0]!, this.point[1]!, this.point[2]!];
    const sides = Math.min(
      surface === 3 || surface === 5 ? Infinity : halfX - Math.abs(x),
      surface === 2 || surface === 4 ? Infinity : halfZ - Math.abs(z),
    );
    const edge = surface < 2 ? sides : Math.min(sides, -y, height + y);
    const near = edge < EDGE_REACH ? 1 - edge / EDGE_REACH : 0;
    const open = 1 - 0.3 * near * near;
    return surface === 0 ? open * this.floorShadow(x, z) : open;
  }

  /** Soft shadows under and beside the footprints of objects. */
  private floorShadow(x: number, z: number): number {
    let light = 1;
    const all = this.shadows;
    for (let o = 0; o < all.length; o += 7) {
      const rx = x - all[o]!;
      const rz = z - all[o + 1]!;
      const reach = all[o + 6]!;
      if (rx * rx + rz * rz > reach * reach) continue;
      const dx = Math.max(0, Math.abs(all[o + 2]! * rx - all[o + 3]! * rz) - all[o + 4]!);
      const dz = Math.max(0, Math.abs(all[o + 3]! * rx + all[o + 2]! * rz) - all[o + 5]!);
      const near = 1 - Math.sqrt(dx * dx + dz * dz) / SHADOW_REACH;
      if (near > 0) light *= 1 - 0.5 * near * near;
    }
    return light;
  }
}

const packMaterial = ({ colour, second, scale, glow }: Material): number[] => [
  ...colour.map(linear),
  ...second.map(linear),
  scale,
  glow,
];

/** Footprints: x, z, cos, sin, half width, half depth (shrunk for a soft rim), radius of influence. */
const packShadows = ({ scene }: CompiledScene): Float64Array =>
  Float64Array.from(
    scene.objects.flatMap(({ position, yawDeg, size }) => {
      const yaw = (yawDeg * Math.PI) / 180;
      const [hw, hd] = [size[0] * 0.42, size[2] * 0.42];
      const reach = Math.sqrt(hw * hw + hd * hd) + SHADOW_REACH;
      return [...position, Math.cos(yaw), Math.sin(yaw), hw, hd, reach];
    }),
  );
