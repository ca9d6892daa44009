import {
  type LabellerV1,
  type LabelSourceV1,
  type OpenSourceOptions,
  SpatialError,
} from '@spatialsv/core';

/**
 * Opens a label source. One that has no weights may pass over those that it is given; who named them would not know.
 * @throws SpatialError USAGE for such weights; what the source throws.
 */
export async function openSourceWith(
  source: LabelSourceV1,
  options: OpenSourceOptions,
): Promise<LabellerV1> {
  const labeller = await source.open(options);
  const { weights } = options;
  if (weights === undefined || labeller.provenance.weightsSha256 !== undefined) return labeller;
  await labeller.dispose();
  throw new SpatialError({
    code: 'USAGE',
    message: `weights ${weights}: the label source '${source.id}' has none`,
    hint: 'Leave them out, or take another source.',
  });
}
