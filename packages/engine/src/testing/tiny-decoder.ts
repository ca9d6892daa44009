import { differentiate } from '../differentiate.js';
import { sizeOf } from '../graph/graph.js';
import { float32, int32, ops, type Tensor, tf } from '../index.js';
import { seeded } from './compare.js';

/** A one-block decoder with every operation of a real one, small enough for software Vulkan. */
const C = 32;
const HEADS = 4;
const KV_HEADS = 2;
const HEAD_DIM = 8;
const INNER = 48;
const K = 50;
const T = 24;

const SHAPES: Readonly<Record<string, readonly number[]>> = {
  embed: [K, C],
  norm1: [C],
  q: [HEADS * HEAD_DIM, C],
  qBias: [HEADS * HEAD_DIM],
  k: [KV_HEADS * HEAD_DIM, C],
  v: [KV_HEADS * HEAD_DIM, C],
  o: [C, HEADS * HEAD_DIM],
  norm2: [C],
  gate: [INNER, C],
  up: [INNER, C],
  down: [C, INNER],
  layerNorm: [C],
  layerNormBias: [C],
  head: [K, C],
};

type Parameters = Record<string, Tensor>;

const byHead = (x: Tensor, heads: number): Tensor =>
  tf.transpose(tf.reshape(x, [x.shape[0]!, heads, HEAD_DIM]), [1, 0, 2]);

function attend(p: Parameters, x: Tensor): Tensor {
  const tokens = x.shape[0]!;
  const angles = tf.mul(
    tf.reshape(tf.range(0, tokens), [tokens, 1]),
    tf.tensor2d([1, 0.3, 0.1, 0.03], [1, 4]),
  );
  const [cos, sin] = [tf.cos(angles), tf.sin(angles)];
  const q = ops.rotary(byHead(ops.linear(x, p['q']!, p['qBias']!), HEADS), cos, sin);
  const k = ops.rotary(byHead(ops.linear(x, p['k']!), KV_HEADS), cos, sin);
  const v = byHead(ops.linear(x, p['v']!), KV_HEADS);
  const mixed = ops.attention(q, k, v, { scale: HEAD_DIM ** -0.5, causal: true });
  return ops.linear(
    tf.reshape(tf.transpose(mixed, [1, 0, 2]), [tokens, HEADS * HEAD_DIM]),
    p['o']!,
  );
}

function lossOf(p: Parameters, ids: Tensor, targets: Tensor): Tensor {
  const x = tf.gather(p['embed']!, ids as tf.Tensor1D);
  const middle = tf.add(x, attend(p, ops.rmsNorm(x, p['norm1']!, 1e-6)));
  const n = ops.rmsNorm(middle, p['norm2']!, 1e-6);
  const inner = tf.mul(ops.silu(ops.linear(n, p['gate']!)), ops.gelu(ops.linear(n, p['up']!)));
  const out = tf.add(middle, ops.linear(inner, p['down']!));
  const last = ops.layerNorm(out, p['layerNorm']!, p['layerNormBias']!, 1e-5);
  const tokens = targets.size;
  const shares = tf.fill([tokens], 1 / tokens);
  return ops.crossEntropySum(ops.linear(last, p['head']!), targets, shares);
}

/** One step of gradient descent with state; also returns the loss and all gradients. */
export const tinyStep = (inputs: { parameters: Parameters; ids: Tensor; targets: Tensor }) => {
  const { outputs, gradients } = differentiate(
    (p) => ({ loss: lossOf(p, inputs.ids, inputs.targets) }),
    inputs.parameters,
  );
  const parameters = Object.fromEntries(
    Object.entries(inputs.parameters).map(([name, value]) => [
      name,
      tf.sub(value, tf.mul(gradients[name]!, 0.1)),
    ]),
  );
  return { loss: outputs.loss, gradients, parameters };
};

/** @param tokens of a batch. */
export const tinySpecsOf = (tokens: number) => ({
  parameters: Object.fromEntries(
    Object.entries(SHAPES).map(([name, shape]) => [name, float32(...shape)]),
  ),
  ids: int32(tokens),
  targets: int32(tokens),
});

export const tinySpecs = tinySpecsOf(T);

export const tinyParameters = (): Record<string, Float32Array> =>
  Object.fromEntries(
    Object.entries(SHAPES).map(([name, shape]) => [
      name,
      seeded(
        sizeOf(shape),
        name.startsWith('norm') ? 0.5 : -0.4,
        name.startsWith('norm') ? 1.5 : 0.4,
      ),
    ]),
  );

export const tinyBatch = (tokens = T) => ({
  ids: Int32Array.from({ length: tokens }, (_, i) => (i * 7) % K),
  targets: Int32Array.from({ length: tokens }, (_, i) => (i * 11 + 3) % K),
});
