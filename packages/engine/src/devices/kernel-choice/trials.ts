import '../../gradients.js';
import {
  alwaysBlocked,
  BLOCKED,
  BLOCKED_DOMAIN,
  IN_PIECES,
  type KernelSize,
  PLAIN,
  SINGLE_THREADED,
} from '../../graph/choice.js';
import type { Graph } from '../../graph/graph.js';
import { STORED_PRODUCT } from '../../kernels/linear-stored.js';
import * as ops from '../../ops/index.js';
import { float32, type Program, type SpecTree } from '../../specs.js';
import { type Tensor, tf } from '../../tfjs.js';
import { trace } from '../../trace/trace.js';

/** An operation that can be written in several ways, and how they are compared. */
export interface KernelTrial {
  /** Name under which graphs ask for it. */
  readonly kind: string;
  /** Ways of writing it; the first is the reference that the others must equal. */
  readonly candidates: readonly string[];
  /** Sizes to measure, the most telling first: others take what the nearest one took. */
  readonly sizes: readonly KernelSize[];
  /**
   * Whether threads stop looking for work when a run ends: for ways that use threads differently, of which one would otherwise
   * take a core from the next.
   */
  readonly rests?: true;
  /** The operation in one way. @param block channels per block of this processor's layout; absent where it has none. */
  write(candidate: string, size: KernelSize, block: number | undefined): Graph;
}

export const sameSize = (a: KernelSize, b: KernelSize): boolean =>
  a.rows === b.rows && a.channels === b.channels;

const trials = new Map<string, KernelTrial>();

/** Adds a kind of operation to those that are measured. Has to happen before the first program is compiled. */
export const defineKernelTrial = (trial: KernelTrial): void => {
  trials.set(trial.kind, trial);
};

export const kernelTrials = (): readonly KernelTrial[] => [...trials.values()];

const plainGraph = ({ program, specs }: Written): Graph => trace(program as Program, specs).graph;

/** @throws Error when the layout is not used: a trial must not compare the plain operators with themselves. */
function blockedGraph({ program, specs }: Written, block: number): Graph {
  const { graph } = trace(program as Program, specs, { choice: alwaysBlocked(block) });
  const convolves = graph.nodes.some(
    ({ operator, domain }) => operator === 'Conv' && domain === BLOCKED_DOMAIN,
  );
  if (!convolves) throw new Error('a trial of the blocked layout does not use it');
  return graph;
}

interface Written {
  readonly program: (inputs: never) => unknown;
  readonly specs: SpecTree;
}

/** Two layers, one after the other, as networks have them: between them values stay in the layout. */
const defineBlockedTrial = (
  kind: string,
  sizes: readonly (readonly [rows: number, channels: number])[],
  layers: (size: KernelSize) => Written,
): void =>
  defineKernelTrial({
    kind,
    candidates: [PLAIN, BLOCKED],
    sizes: sizes.map(([rows, channels]) => ({ rows, channels })),
    write: (candidate, size, block) =>
      candidate === PLAIN ? plainGraph(layers(size)) : blockedGraph(layers(size), block!),
  });

type Inputs = Record<'x' | 'first' | 'second', Tensor>;

const convolve = (x: Tensor, weight: Tensor): Tensor =>
  ops.convolution(x, weight, undefined, { padding: (weight.shape[2]! - 1) / 2 });

const convolutions = ({ x, first, second }: Inputs) => ({
  y: convolve(tf.relu(convolve(x, first)), second),
});

const convolutionGradients = ({ x, first, second }: Inputs) => {
  const loss = (...inputs: Tensor[]) =>
    tf.sum(tf.square(convolve(tf.relu(convolve(inputs[0]!, inputs[1]!)), second))) as tf.Scalar;
  const [dx, dFirst] = tf.grads(loss)([x, first]) as [Tensor, Tensor];
  return { dx, dFirst };
};

const products = ({ x, first, second }: Inputs) => ({
  y: ops.linear(ops.gelu(ops.linear(x, first)), second),
});

/** Images as square as they can be. */
const convolutionSpecs = ({ rows, channels }: KernelSize, width: number): SpecTree => {
  const side = Math.round(Math.sqrt(rows));
  const weight = float32(channels, channels, width, width);
  return { x: float32(1, side, side, channels), first: weight, second: weight };
};

const productSpecs = ({ rows, channels }: KernelSize): SpecTree => ({
  x: float32(rows, channels),
  first: float32(channels, channels),
  second: float32(channels, channels),
});

/** Pixels or rows, and channels, the costliest first: it has the most of the time that there is. Where one way is twice as fast as another on some processor, few sizes tell it. */
const MEASURED = {
  product: [
    [512, 1024],
    [256, 384],
  ],
  convolution3x3: [
    [17 ** 2, 128],
    [74 ** 2, 64],
    [17 ** 2, 32],
    [37 ** 2, 64],
  ],
  convolution1x1: [
    [17 ** 2, 128],
    [74 ** 2, 64],
  ],
  'convolution-gradient': [
    [17 ** 2, 64],
    [37 ** 2, 64],
  ],
} as const;

defineBlockedTrial('product', MEASURED.product, (size) => ({
  program: products,
  specs: productSpecs(size),
}));
defineBlockedTrial('convolution3x3', MEASURED.convolution3x3, (size) => ({
  program: convolutions,
  specs: convolutionSpecs(size, 3),
}));
defineBlockedTrial('convolution1x1', MEASURED.convolution1x1, (size) => ({
  program: convolutions,
  specs: convolutionSpecs(size, 1),
}));
defineBlockedTrial('convolution-gradient', MEASURED['convolution-gradient'], (size) => ({
  program: convolutionGradients,
  specs: convolutionSpecs(size, 3),
}));
const storedProduct = ({ x, weight }: Record<'x' | 'weight', Tensor>) => ({
  y: ops.linear(x, weight),
});

/**
 * A step of decoding one answer, and of several at once. As many weights as the products have that a layer of two thousand million
 * parameters multiplies at a time: with fewer, what a piece costs beside its products would count for more than it does there.
 */
defineKernelTrial({
  kind: STORED_PRODUCT,
  candidates: [PLAIN, SINGLE_THREADED, IN_PIECES],
  sizes: [
    { rows: 1, channels: 2816 },
    { rows: 8, channels: 2816 },
  ],
  rests: true,
  write: (candidate, { rows, channels }) => {
    const weight = { kind: 'weight', shape: [channels, channels], storedAs: 'BF16' } as const;
    const specs = { x: float32(rows, channels), weight };
    const choice = { block: undefined, of: () => candidate };
    return trace(storedProduct as Program, specs, { choice }).graph;
  },
});

/** Smallest image and product that use the layout, with more channels than the largest block, so that their order matters. */
const WITNESS: KernelSize = { rows: 17 ** 2, channels: 32 };

/**
 * Every kind that uses the layout, small: what tells the block size of this processor from others.
 * @param block undefined: plain operators.
 */
export function witnessGraph(block: number | undefined): Graph {
  const specs = {
    wide: convolutionSpecs(WITNESS, 3),
    narrow: convolutionSpecs(WITNESS, 1),
    product: productSpecs(WITNESS),
  };
  const program = ({ wide, narrow, product }: Record<keyof typeof specs, Inputs>) => ({
    wide: convolutions(wide),
    gradient: convolutionGradients(wide),
    narrow: convolutions(narrow),
    product: products(product),
  });
  const written = { program, specs };
  return block === undefined ? plainGraph(written) : blockedGraph(written, block);
}
