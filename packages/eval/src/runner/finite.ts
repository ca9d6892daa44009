import {
  type BackboneV1,
  describeNonFinite,
  findNonFinite,
  nonFiniteWeights,
  type ParameterValues,
  SpatialError,
} from '@spatialsv/core';

/** Where values that are not finite may come from. */
export interface ValueOrigin {
  readonly backbone: Pick<BackboneV1, 'folder' | 'weights'>;
  /** Parameters of the 3D heads. */
  readonly heads?: ParameterValues;
}

/**
 * @param what the values are, for messages.
 * @throws SpatialError NON_FINITE for a NaN or an infinity, naming the weight that holds one; where none does, the values.
 */
export async function requireFinite(
  what: string,
  values: Float32Array,
  origin: ValueOrigin,
): Promise<void> {
  const found = findNonFinite(values);
  if (found === undefined) return;
  const weight = await firstBadWeight(origin);
  const because = weight === undefined ? '' : `, because ${weight}`;
  throw new SpatialError({
    code: 'NON_FINITE',
    message: `${origin.backbone.folder}: ${what}: expected finite values, found ${describeNonFinite(found, values.length)}${because}`,
    hint:
      weight === undefined
        ? 'The weights are finite, the values on the way overflow: look at them with `spatialsv taps`.'
        : 'The checkpoint is damaged or was saved by a run that diverged: take an earlier one.',
  });
}

/** The weights are read only now: the files are large, and mostly whole. */
async function firstBadWeight({ backbone, heads = {} }: ValueOrigin): Promise<string | undefined> {
  for await (const { name, size, ...found } of nonFiniteWeights(backbone.weights))
    return `weight ${name} holds ${describeNonFinite(found, size)}`;
  for (const [name, { data }] of Object.entries(heads)) {
    const found = findNonFinite(data);
    if (found !== undefined) return `weight ${name} holds ${describeNonFinite(found, data.length)}`;
  }
  return undefined;
}
