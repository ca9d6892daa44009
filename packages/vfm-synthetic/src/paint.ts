/** Colours of a view: one shaded ray per pixel, then more where a pixel differs from a neighbour. */
import type { RayCaster } from './ray-caster.js';
import { Shader } from './shading.js';

/** Contrast in linear light above which a surface's own pattern is sampled more finely. */
const PATTERN_CONTRAST = 0.05;
const SMOOTH = 0;
const PATTERN = 1;
const OUTLINE = 2;

/** Rotated grid of sample positions inside a pixel; patterns take the first two. */
const SAMPLE_X = Float64Array.of(0.375, 0.625, 0.875, 0.125);
const SAMPLE_Y = Float64Array.of(0.125, 0.875, 0.375, 0.625);

/** Paints the rays that `caster` has cast: (H, W, 3) bytes. */
export const paint = (caster: RayCaster): Uint8Array => new Painter(caster).paint();

class Painter {
  private readonly caster: RayCaster;
  private readonly shader: Shader;
  /** (H, W, 3) linear light. */
  private readonly colours: Float32Array;
  private readonly flags: Uint8Array;
  /** Materials in a pixel's neighbourhood. */
  private readonly candidates = new Uint16Array(9);

  constructor(caster: RayCaster) {
    this.caster = caster;
    this.shader = new Shader(caster);
    this.colours = new Float32Array(3 * caster.width * caster.height);
    this.flags = new Uint8Array(caster.width * caster.height);
  }

  paint(): Uint8Array {
    this.shadeAll();
    this.findEdges();
    this.refineAll();
    return this.toBytes();
  }

  private shadeAll(): void {
    const { colours, shader } = this;
    const { width, height, lens, depth, material, face } = this.caster;
    for (let i = 0, k = 0; i < height; i++) {
      const y = (i + 0.5 - lens[3]!) / lens[2]!;
      for (let j = 0; j < width; j++, k++) {
        const x = (j + 0.5 - lens[1]!) / lens[0]!;
        shader.shade(x, y, depth[k]!, material[k]!, face[k]!);
        colours[3 * k] = shader.colour[0]!;
        colours[3 * k + 1] = shader.colour[1]!;
        colours[3 * k + 2] = shader.colour[2]!;
      }
    }
  }

  private findEdges(): void {
    const { width, height } = this.caster;
    for (let i = 0, k = 0; i < height; i++) {
      for (let j = 0; j < width; j++, k++) {
        if (j + 1 < width) this.compare(k, k + 1);
        if (i + 1 < height) this.compare(k, k + width);
      }
    }
  }

  private compare(a: number, b: number): void {
    const { material } = this.caster;
    const flag =
      material[a] !== material[b]
        ? OUTLINE
        : this.contrast(a, b) > PATTERN_CONTRAST
          ? PATTERN
          : SMOOTH;
    if (flag > this.flags[a]!) this.flags[a] = flag;
    if (flag > this.flags[b]!) this.flags[b] = flag;
  }

  private contrast(a: number, b: number): number {
    const { colours } = this;
    return Math.max(
      Math.abs(colours[3 * a]! - colours[3 * b]!),
      Math.abs(colours[3 * a + 1]! - colours[3 * b + 1]!),
      Math.abs(colours[3 * a + 2]! - colours[3 * b + 2]!),
    );
  }

  private refineAll(): void {
    const { width, height } = this.caster;
    for (let i = 0, k = 0; i < height; i++) {
      for (let j = 0; j < width; j++, k++) {
        if (this.flags[k] === OUTLINE) this.refine(j, i, this.gather(j, i), SAMPLE_X.length);
        else if (this.flags[k] === PATTERN) {
          this.candidates[0] = this.caster.material[k]!;
          this.refine(j, i, 1, 2);
        }
      }
    }
  }

  /** Fills {@link candidates} with the materials of the 3×3 neighbourhood and returns their number. */
  private gather(j: number, i: number): number {
    const { width, height, material } = this.caster;
    let count = 0;
    for (let y = Math.max(0, i - 1); y <= Math.min(height - 1, i + 1); y++) {
      for (let x = Math.max(0, j - 1); x <= Math.min(width - 1, j + 1); x++) {
        count = this.remember(material[y * width + x]!, count);
      }
    }
    return count;
  }

  private remember(material: number, count: number): number {
    for (let c = 0; c < count; c++) if (this.candidates[c] === material) return count;
    this.candidates[count] = material;
    return count + 1;
  }

  /** Replaces the pixel by the mean of its samples, each cut off at white so that bright spots do not bleed. */
  private refine(j: number, i: number, candidates: number, samples: number): void {
    const { colours, shader } = this;
    let r = 0;
    let g = 0;
    let b = 0;
    for (let s = 0; s < samples; s++) {
      this.shadeSample(j + SAMPLE_X[s]!, i + SAMPLE_Y[s]!, candidates);
      r += Math.min(1, shader.colour[0]!);
      g += Math.min(1, shader.colour[1]!);
      b += Math.min(1, shader.colour[2]!);
    }
    const k = 3 * (i * this.caster.width + j);
    colours[k] = r / samples;
    colours[k + 1] = g / samples;
    colours[k + 2] = b / samples;
  }

  private shadeSample(u: number, v: number, candidates: number): void {
    const { lens, hit } = this.caster;
    this.caster.castAt(u, v, this.candidates, candidates);
    const x = (u - lens[1]!) / lens[0]!;
    const y = (v - lens[3]!) / lens[2]!;
    this.shader.shade(x, y, hit.depth, hit.material, hit.face);
  }

  /** Linear light → 8-bit display value with gamma 2. */
  private toBytes(): Uint8Array {
    const { colours } = this;
    const bytes = new Uint8Array(colours.length);
    for (let k = 0; k < bytes.length; k++) {
      const value = colours[k]!;
      bytes[k] = 0.5 + 255 * Math.sqrt(Math.min(value, 1));
    }
    return bytes;
  }
}
