import type { GeometryHeadModelV1 } from '@spatialsv/core';
import { float32, int32, type SpecTree } from '@spatialsv/engine';
import type { ModelState } from '../model-state.js';
import { mapValues } from '../records.js';
import { type StepModel, sampleName } from './step-program.js';
import { gridGroups, type PackShape, type StepShape, viewsOf } from './step-shape.js';

type Heads = Pick<GeometryHeadModelV1, 'outputSize'>;

type Specs = Record<string, SpecTree>;

/** Specs of the trained parameters, by name. */
export const parameterSpecs = ({ optimizer }: Pick<ModelState, 'optimizer'>) =>
  mapValues(optimizer.parameters, ({ shape }) => float32(...shape));

/** Specs of a program that measures one sample of this shape with the parameters as they are. */
export const measuringSpecs = ({ heads }: StepModel, state: ModelState, shape: StepShape) => ({
  frozen: state.frozenSpecs,
  parameters: parameterSpecs(state),
  sample: sampleSpecs(heads, shape),
});

/** Specs of a sample for a program that computes no other. */
const sampleSpecs = (heads: Heads, shape: StepShape): Specs => ({
  ...sequenceSpecs(shape, shape.views),
  ...targetSpecs(heads, shape),
});

/** Specs of the `pack` input of a step program. */
export function packSpecs(heads: Heads, pack: PackShape): Specs {
  const { tokens, samples } = pack;
  const specs = samples.map((shape, index) => [sampleName(index), targetSpecs(heads, shape)]);
  return {
    ...sequenceSpecs(pack, viewsOf(pack)),
    ...(samples.length > 1 && { segments: int32(tokens) }),
    samples: Object.fromEntries(specs),
  };
}

const byView = <View, Spec>(views: readonly View[], spec: (view: View) => Spec) =>
  Object.fromEntries(views.map((view, index) => [`v${index}`, spec(view)]));

const sequenceSpecs = (
  { tokens, positionRows }: Pick<PackShape, 'tokens' | 'positionRows'>,
  views: StepShape['views'],
): Specs => ({
  inputIds: int32(tokens),
  positions: int32(positionRows, tokens),
  spliceIndex: int32(tokens),
  features: byView(views, ({ features }) => float32(...features)),
});

function targetSpecs(heads: Heads, shape: StepShape): Specs {
  const { views, targets, featureChannels } = shape;
  const cells = views.reduce((sum, { h, w }) => sum + h * w, 0);
  return {
    cells: byView(views, ({ h, w }) => int32(h * w)),
    ...(targets > 0 && {
      targetRows: int32(targets),
      targets: int32(targets),
      targetWeights: float32(targets),
    }),
    ...(featureChannels > 0 && { distilled: float32(cells, featureChannels) }),
    ...(shape.geometry && { labels: labelSpecs(heads, shape) }),
  };
}

function labelSpecs(heads: Heads, shape: StepShape): SpecTree {
  const groups = gridGroups(shape.views).map((group): [string, SpecTree] => {
    const { height, width } = heads.outputSize(group);
    const maps = (...channels: number[]) => float32(group.views.length, height, width, ...channels);
    return [
      group.name,
      {
        depth: maps(),
        mask: maps(),
        rays: maps(6),
        rayMask: maps(),
        points: maps(3),
        share: float32(),
        ...(shape.weighted && { depthWeight: maps(), rayWeight: maps(), pointWeight: maps() }),
      },
    ];
  });
  return Object.fromEntries(groups);
}
