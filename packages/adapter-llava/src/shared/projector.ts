import {
  layerShapes,
  ops,
  type ParameterScope,
  type Shapes,
  type Tensor,
} from '@spatialsv/core/kit';

/** Names of the two layers of a projector below its scope. */
export interface ProjectorNames {
  readonly first: string;
  readonly second: string;
}

/** (in → out → out), both layers with bias. */
export const projectorShapes = (
  { first, second }: ProjectorNames,
  inputs: number,
  outputs: number,
): Shapes => ({
  ...layerShapes(first, [outputs, inputs]),
  ...layerShapes(second, [outputs, outputs]),
});

/** second(GELU(first(x))). @param x (n, in). @returns (n, out). */
export const project = (
  projector: ParameterScope,
  { first, second }: ProjectorNames,
  x: Tensor,
): Tensor => projector.linear(second, ops.gelu(projector.linear(first, x)));
