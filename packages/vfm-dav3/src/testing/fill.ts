/** Tensors made from their names, as reference/dav3/tiny_models.py makes them, so that neither side stores weights. */
import {
  float32Source,
  IMAGENET_STATISTICS,
  type Shapes,
  writeSafetensors,
} from '@spatialsv/core/kit';
import { filled } from '@spatialsv/core/testing';

/**
 * Writes `model.safetensors` with values made from the names behind `model.`.
 * @param shifts added to the tensors of these names, without `model.`.
 */
export const writeFilled = async (
  folder: string,
  shapes: Shapes,
  shifts: Readonly<Record<string, number>> = {},
): Promise<void> => {
  const tensors = Object.entries(shapes).map(([name, shape]) => {
    const plain = name.replace(/^model\./, '');
    const values = filled(plain, shape).map((value) => value + (shifts[plain] ?? 0));
    return [name, float32Source(values, shape)] as const;
  });
  await writeSafetensors(`${folder}/model.safetensors`, new Map(tensors));
};

const { mean: MEAN, std: DEVIATION } = IMAGENET_STATISTICS;

/** (H, W, 3) of each view: waves, ImageNet-normalised. */
export const waves = (views: number, height: number, width: number): Float32Array[] =>
  Array.from({ length: views }, (_, s) =>
    Float32Array.from({ length: height * width * 3 }, (_, i) => {
      const c = i % 3;
      const x = Math.floor(i / 3) % width;
      const y = Math.floor(i / 3 / width);
      const phase = 0.11 * (c + 1) * x + 0.07 * (s + 2) * y + 0.5 * c + 0.9 * s;
      return (Math.fround(0.5 + 0.45 * Math.sin(phase)) - MEAN[c]!) / DEVIATION[c]!;
    }),
  );
