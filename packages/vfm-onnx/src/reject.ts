import type { GraphFile } from '@spatialsv/core/kit';
import { SpatialError } from '@spatialsv/core/spec';

/** Results that cannot be labels. They are refused, never repaired. */
export const reject = (graph: Pick<GraphFile, 'path'>, problem: string): SpatialError =>
  new SpatialError({
    code: 'DATA_INVALID',
    message: `${graph.path}: ${problem}`,
    hint:
      'Check "input.normalisation", "input.size", "views" and the conventions of the outputs in the description of the graph; ' +
      'where they are right, the graph does not know these images: leave them out.',
  });
