import { type BackboneV1, isViewSite, type PreparedInputsV1, type TapSite } from '@spatialsv/core';
import { type BackboneRunner, type ForwardResult, gatherCells } from '@spatialsv/eval';
import { type CellFeatures, cellsOfPatches, type ReadStates } from '@spatialsv/train';

/** Visual tokens come before the question and do not see it: any question gives the same states. */
const QUESTION = 'Describe the scene.';

/** Reads states of views with a runner, each by the cells of its grid. */
export function stateReader(
  backbone: BackboneV1,
  runner: Pick<BackboneRunner, 'forward'>,
): ReadStates {
  return async (images, sites) => {
    const inputs = await backbone.prepare({ images, question: QUESTION });
    const layout = inputs.grids.map(({ h, w, covered }, view) => {
      const { height, width } = images[view]!;
      return { h, w, covered, image: { height, width } };
    });
    const result = await runner.forward(inputs, { sites });
    const { hiddenSize } = backbone.config;
    const states = sites.map((site) => [site, statesAt(site, result, inputs, hiddenSize)] as const);
    return { layout, states: new Map(states) };
  };
}

function statesAt(
  site: TapSite,
  { hidden, views }: ForwardResult,
  { grids }: PreparedInputsV1,
  hiddenSize: number,
): readonly CellFeatures[] {
  if (!isViewSite(site))
    return grids.map((grid) => ({
      data: gatherCells(hidden[site]!, [grid], hiddenSize),
      channels: hiddenSize,
    }));
  if (site === 'projector')
    return views[site]!.map(({ data, shape }) => ({ data, channels: shape[1]! }));
  return views[site]!.map((states, view) => cellsOfPatches(states, grids[view]!));
}
