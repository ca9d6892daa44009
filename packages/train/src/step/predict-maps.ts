import type { GeometryHeadModelV1 } from '@spatialsv/core';
import { ops } from '@spatialsv/engine';

type Predict = GeometryHeadModelV1['doPredict'];

/**
 * The maps of the 3D heads, in float32 in every precision, and so is their backward pass: losses compare normals and gradients,
 * differences of neighbouring pixels, of which 16 bits leave noise. Runs in bfloat16 diverge otherwise.
 * @param given as `doPredict` takes them.
 */
export const predictMaps = (
  heads: GeometryHeadModelV1,
  ...given: Parameters<Predict>
): ReturnType<Predict> => ops.inFloat32(() => heads.doPredict(...given));
