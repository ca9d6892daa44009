/** Projector of most families: a perceptron of two layers. */
import { ops, type Tensor } from '@spatialsv/engine';
import { layerShapes, type ParameterScope, type Shapes } from '../nn/index.js';

/** Names of the two layers below the projector's scope. */
export interface ProjectorNames {
  readonly first: string;
  readonly second: string;
}

/** Shapes of both layers (in → hidden → out), with bias. */
export const projectorShapes = (
  { first, second }: ProjectorNames,
  inputs: number,
  outputs: number,
  hidden = outputs,
): Shapes => ({
  ...layerShapes(first, [hidden, inputs]),
  ...layerShapes(second, [outputs, hidden]),
});

/** second(GELU(first(x))). @param x (n, in). @returns (n, out). */
export const project = (
  projector: ParameterScope,
  { first, second }: ProjectorNames,
  x: Tensor,
): Tensor => projector.linear(second, ops.gelu(projector.linear(first, x)));
