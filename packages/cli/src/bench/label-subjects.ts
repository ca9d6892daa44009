import {
  openDa3,
  variantConfig,
  writeRandomWeights as writeDav3,
  writeTiny as writeTinyDav3,
} from '@spatialsv/vfm-dav3';
import {
  RELEASED_VGGT,
  VggtModel,
  writeTinyVggt,
  writeRandomWeights as writeVggt,
} from '@spatialsv/vfm-vggt';
import type { Target } from '../target.js';
import { cachedFolder } from './random-checkpoint.js';

/** A geometry model of full size, with random weights. */
export interface Subject {
  /** As the PyTorch peer knows it. */
  readonly family: 'vggt' | 'dav3';
  readonly variant: string;
  readonly height: number;
  readonly width: number;
  write(folder: string): Promise<void>;
  open(folder: string, target: Target): Promise<OpenSubject>;
}

type ImageSize = Pick<Subject, 'height' | 'width'>;

export interface OpenSubject {
  /**
   * @param pixels (V, H, W, 3) in 0..1.
   * @param what `everything` that the official model computes, or what `labels` need: no point head, no ray branch.
   * @returns (V, H, W) depth.
   */
  run(pixels: Float32Array, what: 'everything' | 'labels'): Promise<Float32Array>;
  dispose(): Promise<void>;
}

export const VGGT: Subject = {
  family: 'vggt',
  variant: 'VGGT-1B',
  height: 392,
  width: 518,
  write: (folder) => writeVggt(folder, RELEASED_VGGT, 1),
  open: (folder, target) => openVggt(folder, target, VGGT),
};

async function openVggt(
  folder: string,
  { device, precision }: Target,
  { height, width }: ImageSize,
): Promise<OpenSubject> {
  const model = await VggtModel.open(folder, device, precision);
  return {
    run: async (pixels, what) => {
      const size = { views: viewsOf(pixels, { height, width }), height, width };
      const options = what === 'labels' ? { heads: ['depth'] as const } : {};
      return (await model.predictPixels(pixels, size, options)).depth!;
    },
    dispose: () => model.dispose(),
  };
}

export const dav3 = (variant: string): Subject => ({
  family: 'dav3',
  variant,
  height: 378,
  width: 504,
  write: (folder) => writeDav3(folder, variantConfig(variant), 1),
  open: (folder, target) => openDav3(folder, target, { height: 378, width: 504 }),
});

async function openDav3(
  folder: string,
  { device, precision }: Target,
  { height, width }: ImageSize,
): Promise<OpenSubject> {
  const model = await openDa3(folder, device, precision);
  return {
    run: async (pixels, what) => {
      const views = viewsOf(pixels, { height, width });
      const viewSet = { views, height, width, pixels: normalisedViews(pixels, views) };
      return (await model.predict(viewSet, { features: 'last-tap', rays: what === 'everything' }))
        .depth;
    },
    dispose: () => model.dispose(),
  };
}

/** Models of the same structure that are small, to see that everything runs. */
export const SMALL_SUBJECTS: Readonly<Record<Subject['family'], Subject>> = {
  vggt: {
    ...{ family: 'vggt', variant: 'small', height: 56, width: 56 },
    write: (folder) => writeTinyVggt({ folder, seed: 1 }),
    open: (folder, target) => openVggt(folder, target, { height: 56, width: 56 }),
  },
  dav3: {
    ...{ family: 'dav3', variant: 'small', height: 56, width: 56 },
    write: (folder) => writeTinyDav3({ folder, seed: 1 }),
    open: (folder, target) => openDav3(folder, target, { height: 56, width: 56 }),
  },
};

/** Weights that stay in the user's cache. @returns their folder. */
export const writeSubject = ({ family, variant, write }: Subject): Promise<string> =>
  cachedFolder(`gpu-${family}-${variant}`.toLowerCase(), write);

const MEAN = [0.485, 0.456, 0.406];
const DEVIATION = [0.229, 0.224, 0.225];

const viewsOf = (pixels: Float32Array, { height, width }: ImageSize): number =>
  pixels.length / (3 * height * width);

function normalisedViews(pixels: Float32Array, views: number): Float32Array[] {
  const size = pixels.length / views;
  return Array.from({ length: views }, (_, view) =>
    pixels
      .slice(view * size, (view + 1) * size)
      .map((value, i) => (value - MEAN[i % 3]!) / DEVIATION[i % 3]!),
  );
}

/** Smooth images that differ from view to view. @returns (V, H, W, 3) in 0..1. */
export function smoothImages({ height, width }: ImageSize, views: number): Float32Array {
  const pixels = new Float32Array(views * height * width * 3);
  for (let i = 0; i < pixels.length; i += 1) {
    const [colour, x] = [i % 3, Math.floor(i / 3) % width];
    const [y, view] = [Math.floor(i / 3 / width) % height, Math.floor(i / 3 / width / height)];
    pixels[i] =
      0.5 +
      0.45 * Math.sin(0.11 * (colour + 1) * x + 0.07 * (view + 2) * y + 0.5 * colour + 0.9 * view);
  }
  return pixels;
}
