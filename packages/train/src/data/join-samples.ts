import type { HostArray, Tree } from '@spatialsv/engine';
import { sampleName } from '../step/step-program.js';
import { type PackShape, tokenBucket } from '../step/step-shape.js';
import type { SampleInputs } from './sample-inputs.js';

/** What a step program takes for samples that it computes together. */
export interface PackInputs {
  readonly shape: PackShape;
  /** The `pack` input. */
  readonly tensors: Tree<HostArray>;
}

/** The arrays of a sample that say where something stands in its sequence. */
interface Placed {
  readonly inputIds: Int32Array;
  readonly positions: Int32Array;
  readonly spliceIndex: Int32Array;
  readonly features: Readonly<Record<string, HostArray>>;
  readonly cells: Readonly<Record<string, Int32Array>>;
  readonly targetRows?: Int32Array;
}

/** Where a sample begins in the sequence of a pack, and its first visual row among those of the pack. */
interface Start {
  readonly token: number;
  readonly visualRow: number;
}

export function packShape(samples: readonly Pick<SampleInputs, 'shape' | 'tokens'>[]): PackShape {
  const shapes = samples.map(({ shape }) => shape);
  const { tokens, positionRows } = shapes[0]!;
  if (samples.length === 1) return { tokens, positionRows, samples: shapes };
  const length = samples.reduce((sum, sample) => sum + sample.tokens, 0);
  return { tokens: tokenBucket(length), positionRows, samples: shapes };
}

/**
 * Puts samples one behind the other into one sequence. Each keeps its own positions, so that with attention inside of the
 * samples alone every one is computed as if it were by itself. What is large is not copied.
 */
export function joinSamples(samples: readonly SampleInputs[]): PackInputs {
  const shape = packShape(samples);
  const placed = samples.map(({ tensors }) => tensors as unknown as Placed);
  const starts = startsOf(samples, placed);
  const sequence =
    samples.length === 1 ? sequenceOf(placed[0]!) : joinSequences(samples, placed, starts, shape);
  const targets = placed.map((tensors, index) => [
    sampleName(index),
    moveTargets(tensors, starts[index]!.token),
  ]);
  return { shape, tensors: { ...sequence, samples: Object.fromEntries(targets) } };
}

function startsOf(samples: readonly SampleInputs[], placed: readonly Placed[]): readonly Start[] {
  let at: Start = { token: 0, visualRow: 0 };
  return samples.map(({ shape, tokens }, index) => {
    const start = at;
    const visual = placed[index]!.spliceIndex.filter((row) => row >= shape.tokens).length;
    at = { token: at.token + tokens, visualRow: at.visualRow + visual };
    return start;
  });
}

const sequenceOf = ({ inputIds, positions, spliceIndex, features }: Placed) => ({
  inputIds,
  positions,
  spliceIndex,
  features,
});

/** Tokens without their padding; that of the pack lies behind, as a segment of its own. */
function joinSequences(
  samples: readonly SampleInputs[],
  placed: readonly Placed[],
  starts: readonly Start[],
  { tokens: length, positionRows }: PackShape,
) {
  const inputIds = new Int32Array(length);
  const positions = new Int32Array(positionRows * length);
  const spliceIndex = Int32Array.from({ length }, (_, index) => index);
  const segments = new Int32Array(length).fill(samples.length);
  for (const [index, { tokens, shape }] of samples.entries()) {
    const { token, visualRow } = starts[index]!;
    const own = placed[index]!;
    inputIds.set(own.inputIds.subarray(0, tokens), token);
    for (let row = 0; row < positionRows; row++) {
      const first = row * shape.tokens;
      positions.set(own.positions.subarray(first, first + tokens), row * length + token);
    }
    // Rows of text count from the first token, visual ones behind the padded text.
    for (const [place, row] of own.spliceIndex.subarray(0, tokens).entries())
      spliceIndex[token + place] =
        row < shape.tokens ? token + row : length + visualRow + row - shape.tokens;
    segments.fill(index, token, token + tokens);
  }
  const features = placed.flatMap((tensors) => Object.values(tensors.features));
  return {
    ...{ inputIds, positions, spliceIndex, segments },
    features: Object.fromEntries(features.map((data, view) => [`v${view}`, data])),
  };
}

/** What the losses of a sample read, with its places in the sequence moved behind the samples before. */
function moveTargets(tensors: Placed, start: number): Tree<HostArray> {
  const { inputIds, positions, spliceIndex, features, ...targets } = tensors;
  if (start === 0) return targets as Tree<HostArray>;
  const moved = (places: Int32Array) => places.map((place) => place + start);
  const cells = Object.entries(targets.cells).map(([view, places]) => [view, moved(places)]);
  return {
    ...(targets as Readonly<Record<string, Tree<HostArray>>>),
    cells: Object.fromEntries(cells),
    ...(targets.targetRows && { targetRows: moved(targets.targetRows) }),
  };
}
