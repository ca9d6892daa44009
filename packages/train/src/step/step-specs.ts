import type { GeometryHeadModelV1 } from '@spatialsv/core';
import { float32, int32, type SpecTree } from '@spatialsv/engine';
import { gridGroups, type StepShape } from './step-shape.js';

type Heads = Pick<GeometryHeadModelV1, 'outputSize'>;

/** Specs of the `sample` input of a step program. */
export function sampleSpecs(heads: Heads, shape: StepShape): SpecTree {
  const { tokens, targets, positionRows, featureChannels } = shape;
  const byView = <Spec>(spec: (view: StepShape['views'][number]) => Spec) =>
    Object.fromEntries(shape.views.map((view, index) => [`v${index}`, spec(view)]));
  const cells = shape.views.reduce((sum, { h, w }) => sum + h * w, 0);
  return {
    inputIds: int32(tokens),
    positions: int32(positionRows, tokens),
    spliceIndex: int32(tokens),
    features: byView(({ features }) => float32(...features)),
    cells: byView(({ h, w }) => int32(h * w)),
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
