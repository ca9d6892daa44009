/**
 * Exact visibility: every solid is intersected analytically, but only inside the rectangle of pixels that its
 * bounding box covers. Rays have unit z in the camera frame, so the ray parameter is the z-depth.
 */
import { BOX, type CompiledScene, FRUSTUM, SOLID_STRIDE } from './compiled-scene.js';
import { FIRST_OBJECT_ID } from './scene.js';

/** Numbers per solid and view: ray origin in the solid's frame (3), camera-to-solid rotation (9), pixel rectangle (4). */
const VIEW_STRIDE = 16;
const NEAR = 1e-3;

/** Nearest surface on a ray. Faces: box 0..5 = −x +x −y +y −z +z; frustum 0 side, 1 upper cap, 2 lower cap; ellipsoid 0. */
export interface Hit {
  depth: number;
  /** 0..5 room surface, `FIRST_OBJECT_ID + s` solid s. */
  material: number;
  face: number;
}

export class RayCaster {
  readonly compiled: CompiledScene;
  readonly width: number;
  readonly height: number;
  /** [fx, cx, fy, cy]. */
  readonly lens: Float64Array;
  /** Camera centre in the room frame. */
  readonly centre: Float64Array;
  /** (3, 3) camera-to-room rotation, row-major. */
  readonly rotation: Float64Array;
  /** (H, W) buffers of the nearest hit at pixel centres. */
  readonly depth: Float64Array;
  readonly material: Uint16Array;
  readonly face: Uint8Array;
  readonly hit: Hit = { depth: 0, material: 0, face: 0 };

  private readonly views: Float64Array;
  private hitFace = 0;

  /**
   * @param intrinsics (3, 3) pixels, half-integer pixel centres.
   * @param roomToCamera (3, 4).
   */
  constructor(
    compiled: CompiledScene,
    intrinsics: Float64Array,
    roomToCamera: Float64Array,
    size: { readonly width: number; readonly height: number },
  ) {
    this.compiled = compiled;
    this.width = size.width;
    this.height = size.height;
    this.lens = Float64Array.of(intrinsics[0]!, intrinsics[2]!, intrinsics[4]!, intrinsics[5]!);
    this.rotation = new Float64Array(9);
    this.centre = new Float64Array(3);
    this.setPose(roomToCamera);
    const pixels = size.width * size.height;
    this.depth = new Float64Array(pixels);
    this.material = new Uint16Array(pixels);
    this.face = new Uint8Array(pixels);
    this.views = new Float64Array(compiled.count * VIEW_STRIDE);
    for (let s = 0; s < compiled.count; s++) this.placeSolid(s);
  }

  /** Fills {@link depth}, {@link material} and {@link face}. */
  castAll(): void {
    this.castRoom();
    for (let s = 0; s < this.compiled.count; s++) this.castSolid(s);
  }

  /**
   * Casts one ray through continuous pixel position (u, v) into {@link hit}, at the room and at the first `count`
   * solids of `candidates` (material numbers) only.
   */
  castAt(u: number, v: number, candidates: Uint16Array, count: number): void {
    const x = (u - this.lens[1]!) / this.lens[0]!;
    const y = (v - this.lens[3]!) / this.lens[2]!;
    const { hit } = this;
    this.hitRoom(x, y);
    for (let c = 0; c < count; c++) {
      const material = candidates[c]!;
      if (material < FIRST_OBJECT_ID) continue;
      const t = this.intersectAt(material - FIRST_OBJECT_ID, x, y);
      if (t >= hit.depth) continue;
      hit.depth = t;
      hit.material = material;
      hit.face = this.hitFace;
    }
  }

  /** Room-frame ray direction component `axis` of normalised image position (x, y). */
  direction(axis: number, x: number, y: number): number {
    const r = this.rotation;
    return r[3 * axis]! * x + r[3 * axis + 1]! * y + r[3 * axis + 2]!;
  }

  private setPose(pose: Float64Array): void {
    for (let row = 0; row < 3; row++) {
      for (let column = 0; column < 3; column++) {
        this.rotation[3 * column + row] = pose[4 * row + column]!;
      }
    }
    for (let axis = 0; axis < 3; axis++) {
      let sum = 0;
      for (let k = 0; k < 3; k++) sum -= this.rotation[3 * axis + k]! * pose[4 * k + 3]!;
      this.centre[axis] = sum;
    }
  }

  private placeSolid(s: number): void {
    const { solids } = this.compiled;
    const o = s * SOLID_STRIDE;
    const v = s * VIEW_STRIDE;
    const [cos, sin] = [solids[o + 3]!, solids[o + 4]!];
    const x = this.centre[0]! - solids[o]!;
    const z = this.centre[2]! - solids[o + 2]!;
    this.views.set([cos * x - sin * z, this.centre[1]! - solids[o + 1]!, sin * x + cos * z], v);
    const r = this.rotation;
    for (let k = 0; k < 3; k++) {
      this.views[v + 3 + k] = cos * r[k]! - sin * r[6 + k]!;
      this.views[v + 6 + k] = r[3 + k]!;
      this.views[v + 9 + k] = sin * r[k]! + cos * r[6 + k]!;
    }
    this.boundSolid(s);
  }

  /** Pixel rectangle of the solid's bounding box, clipped at the near plane; empty when nothing is in front. */
  private boundSolid(s: number): void {
    const bounds = [Infinity, -Infinity, Infinity, -Infinity];
    const corners = Array.from({ length: 8 }, (_, corner) => this.cornerInCamera(s, corner));
    for (let a = 0; a < 8; a++) {
      for (const bit of [1, 2, 4]) {
        if (a & bit) continue;
        this.growByEdge(bounds, corners[a]!, corners[a | bit]!);
      }
    }
    this.views.set(bounds, s * VIEW_STRIDE + 12);
  }

  private cornerInCamera(s: number, corner: number): [number, number, number] {
    const o = s * SOLID_STRIDE;
    const v = s * VIEW_STRIDE;
    const { solids, shapes } = this.compiled;
    const wide = shapes[s] === FRUSTUM ? Math.max(solids[o + 5]!, solids[o + 7]!) : 0;
    const x = (corner & 1 ? 1 : -1) * (wide || solids[o + 5]!) - this.views[v]!;
    const y = (corner & 2 ? 1 : -1) * solids[o + 6]! - this.views[v + 1]!;
    const z = (corner & 4 ? 1 : -1) * (wide || solids[o + 7]!) - this.views[v + 2]!;
    const m = this.views;
    const along = (k: number): number => m[v + 3 + k]! * x + m[v + 6 + k]! * y + m[v + 9 + k]! * z;
    return [along(0), along(1), along(2)];
  }

  private growByEdge(bounds: number[], a: readonly number[], b: readonly number[]): void {
    if (a[2]! < NEAR && b[2]! < NEAR) return;
    for (const [end, other] of [
      [a, b],
      [b, a],
    ] as const) {
      const share = end[2]! >= NEAR ? 0 : (NEAR - end[2]!) / (other[2]! - end[2]!);
      const z = Math.max(NEAR, end[2]!);
      const u = this.lens[1]! + (this.lens[0]! * (end[0]! + share * (other[0]! - end[0]!))) / z;
      const v = this.lens[3]! + (this.lens[2]! * (end[1]! + share * (other[1]! - end[1]!))) / z;
      bounds[0] = Math.min(bounds[0]!, u);
      bounds[1] = Math.max(bounds[1]!, u);
      bounds[2] = Math.min(bounds[2]!, v);
      bounds[3] = Math.max(bounds[3]!, v);
    }
  }

  private castRoom(): void {
    const { width, height, lens, hit } = this;
    for (let i = 0, k = 0; i < height; i++) {
      const y = (i + 0.5 - lens[3]!) / lens[2]!;
      for (let j = 0; j < width; j++, k++) {
        this.hitRoom((j + 0.5 - lens[1]!) / lens[0]!, y);
        this.depth[k] = hit.depth;
        this.material[k] = hit.material;
      }
    }
  }

  /** The camera is inside the room, so the ray leaves through the nearest of the three planes it approaches. */
  private hitRoom(x: number, y: number): void {
    const { hit, centre } = this;
    const [halfX, height, halfZ] = this.compiled.room;
    const dx = this.direction(0, x, y);
    const dy = this.direction(1, x, y);
    const dz = this.direction(2, x, y);
    const tx = dx === 0 ? Infinity : ((dx > 0 ? halfX : -halfX) - centre[0]!) / dx;
    const ty = dy === 0 ? Infinity : ((dy > 0 ? 0 : -height) - centre[1]!) / dy;
    const tz = dz === 0 ? Infinity : ((dz > 0 ? halfZ : -halfZ) - centre[2]!) / dz;
    hit.face = 0;
    if (ty <= tx && ty <= tz) {
      hit.depth = ty;
      hit.material = dy > 0 ? 0 : 1;
    } else if (tz <= tx) {
      hit.depth = tz;
      hit.material = dz > 0 ? 2 : 4;
    } else {
      hit.depth = tx;
      hit.material = dx > 0 ? 3 : 5;
    }
  }

  private castSolid(s: number): void {
    const { width, height, lens, views } = this;
    const o = s * VIEW_STRIDE;
    const j0 = Math.max(0, Math.floor(views[o + 12]! - 0.5));
    const j1 = Math.min(width - 1, Math.ceil(views[o + 13]! - 0.5));
    const i0 = Math.max(0, Math.floor(views[o + 14]! - 0.5));
    const i1 = Math.min(height - 1, Math.ceil(views[o + 15]! - 0.5));
    for (let i = i0; i <= i1; i++) {
      const y = (i + 0.5 - lens[3]!) / lens[2]!;
      for (let j = j0, k = i * width + j0; j <= j1; j++, k++) {
        const t = this.intersectAt(s, (j + 0.5 - lens[1]!) / lens[0]!, y);
        if (t >= this.depth[k]!) continue;
        this.depth[k] = t;
        this.material[k] = FIRST_OBJECT_ID + s;
        this.face[k] = this.hitFace;
      }
    }
  }

  /** Depth of the solid along the ray through normalised image position (x, y), or Infinity. */
  private intersectAt(s: number, x: number, y: number): number {
    const m = this.views;
    const o = s * VIEW_STRIDE;
    const dx = m[o + 3]! * x + m[o + 4]! * y + m[o + 5]!;
    const dy = m[o + 6]! * x + m[o + 7]! * y + m[o + 8]!;
    const dz = m[o + 9]! * x + m[o + 10]! * y + m[o + 11]!;
    const shape = this.compiled.shapes[s]!;
    if (shape === BOX) return this.intersectBox(s, dx, dy, dz);
    if (shape === FRUSTUM) return this.intersectFrustum(s, dx, dy, dz);
    return this.intersectEllipsoid(s, dx, dy, dz);
  }

  /** Slab test. A zero component would make 0/0 of a ray inside the slab: the smallest step aside avoids it. */
  private intersectBox(s: number, rayX: number, rayY: number, rayZ: number): number {
    const dx = rayX || 1e-30;
    const dy = rayY || 1e-30;
    const dz = rayZ || 1e-30;
    const o = s * SOLID_STRIDE;
    const v = s * VIEW_STRIDE;
    const { solids } = this.compiled;
    const hx = dx > 0 ? solids[o + 5]! : -solids[o + 5]!;
    const hy = dy > 0 ? solids[o + 6]! : -solids[o + 6]!;
    const hz = dz > 0 ? solids[o + 7]! : -solids[o + 7]!;
    const x = (-hx - this.views[v]!) / dx;
    const y = (-hy - this.views[v + 1]!) / dy;
    const z = (-hz - this.views[v + 2]!) / dz;
    const entry = Math.max(x, y, z);
    if (!(entry > NEAR)) return Infinity;
    if (entry > (hx - this.views[v]!) / dx) return Infinity;
    if (entry > (hy - this.views[v + 1]!) / dy) return Infinity;
    if (entry > (hz - this.views[v + 2]!) / dz) return Infinity;
    this.hitFace = entry === x ? (dx > 0 ? 0 : 1) : entry === y ? (dy > 0 ? 2 : 3) : dz > 0 ? 4 : 5;
    return entry;
  }

  /** Quadric x² + z² = (r + k·y)² between its two caps. */
  private intersectFrustum(s: number, dx: number, dy: number, dz: number): number {
    const o = s * SOLID_STRIDE;
    const v = s * VIEW_STRIDE;
    const { solids } = this.compiled;
    const half = solids[o + 6]!;
    const slope = (solids[o + 5]! - solids[o + 7]!) / (2 * half);
    const middle = (solids[o + 5]! + solids[o + 7]!) / 2;
    const [x, y, z] = [this.views[v]!, this.views[v + 1]!, this.views[v + 2]!];
    const q0 = middle + slope * y;
    const q1 = slope * dy;
    const a = dx * dx + dz * dz - q1 * q1;
    const b = x * dx + z * dz - q0 * q1;
    const disc = b * b - a * (x * x + z * z - q0 * q0);
    if (disc < 0) return Infinity;
    const root = Math.sqrt(disc);
    let best = this.frustumSide((-b - root) / a, y, dy, half, Infinity);
    best = this.frustumSide((-b + root) / a, y, dy, half, best);
    const up = dy > 0;
    const cap = ((up ? -half : half) - y) / dy;
    const radius = up ? solids[o + 7]! : solids[o + 5]!;
    const [px, pz] = [x + cap * dx, z + cap * dz];
    if (cap > NEAR && cap < best && px * px + pz * pz <= radius * radius) {
      this.hitFace = up ? 1 : 2;
      return cap;
    }
    return best;
  }

  private frustumSide(t: number, y: number, dy: number, half: number, best: number): number {
    const at = y + t * dy;
    if (!(t > NEAR && t < best && at >= -half && at <= half)) return best;
    this.hitFace = 0;
    return t;
  }

  private intersectEllipsoid(s: number, dx: number, dy: number, dz: number): number {
    const o = s * SOLID_STRIDE;
    const v = s * VIEW_STRIDE;
    const { solids } = this.compiled;
    const [rx, ry, rz] = [solids[o + 5]!, solids[o + 6]!, solids[o + 7]!];
    const [ex, ey, ez] = [dx / rx, dy / ry, dz / rz];
    const x = this.views[v]! / rx;
    const y = this.views[v + 1]! / ry;
    const z = this.views[v + 2]! / rz;
    const a = ex * ex + ey * ey + ez * ez;
    const b = x * ex + y * ey + z * ez;
    const disc = b * b - a * (x * x + y * y + z * z - 1);
    if (disc < 0) return Infinity;
    const t = (-b - Math.sqrt(disc)) / a;
    this.hitFace = 0;
    return t > NEAR ? t : Infinity;
  }
}
