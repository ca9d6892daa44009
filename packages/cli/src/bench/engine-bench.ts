import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { monitorEventLoopDelay } from 'node:perf_hooks';
import {
  type CompiledProgram,
  compile,
  createTensor,
  float32,
  ops,
  sizeOf,
  type Tensor,
  tf,
  UPDATE_BLOCK,
} from '@spatialsv/engine';
import { AdamwOptimizer, type TrainableParameter } from '@spatialsv/train';
import { gflops, openProduct, PRODUCT, type Product } from './bare-product.js';
import {
  accumulatingProgram,
  parameterShapes,
  STEP_SIZES,
  type StepSize,
  stepBatch,
  stepSpecs,
} from './decoder-step.js';
import { measureHeads } from './heads-bench.js';
import { emit, median, ownMemoryMb, peakRssMb, rssMb, times } from './measure.js';
import { openPytorchStep, type PytorchStep } from './pytorch-peer.js';
import { benchShapes } from './shapes-bench.js';

const BENCH = 'engine';
const ADAMW = { betas: [0.9, 0.999], epsilon: 1e-8, weightDecay: 0 } as const;
const RATES = { projector: 1e-4, 'language-model': 1e-4, spatial: 1e-4 } as const;

/** Cases of `npm run bench -- engine`, each run in this order or alone by name. */
export const ENGINE_CASES: Readonly<Record<string, () => Promise<void>>> = {
  matmul: benchProduct,
  ...Object.fromEntries(STEP_SIZES.map((size) => [`step-${size.name}`, () => benchStep(size)])),
  'heads-tiny': () => benchHeads('tiny'),
  'heads-small': () => benchHeads('small'),
  nodes: benchNodes,
  adamw: benchAdamw,
  memory: benchMemory,
  sessions: benchSessions,
  shapes: benchShapes,
  mapped: benchMapped,
};

// ---------------------------------------------------------------------------------------------- bare product

async function benchProduct(): Promise<void> {
  const product = await openProduct();
  const measured = await times(product.run, { warm: 2, repeats: 9 });
  const speed = gflops(product.program.stats.flops, median(measured));
  emit(BENCH, 'matmul', { size: PRODUCT, matmul_gflops: speed });
  await product.program.dispose();
}

// ---------------------------------------------------------------------------------------------- training step

export interface Step {
  readonly program: CompiledProgram;
  readonly optimizer: AdamwOptimizer;
  forwardBackward(): Promise<unknown>;
  update(): Promise<void>;
}

export async function openStep(size: StepSize): Promise<Step> {
  const specs = stepSpecs(size);
  const program = await compile(
    accumulatingProgram(size),
    { ...specs, accumulators: specs.parameters },
    { state: ['accumulators'], recomputeCheap: true, rests: true, name: `step ${size.name}` },
  );
  const optimizer = await AdamwOptimizer.create(initialParameters(size), ADAMW, 'cpu');
  const { parameters, accumulators } = optimizer;
  const batch = stepBatch(size);
  let t = 0;
  const update = () => {
    t += 1;
    return optimizer.step(t, RATES, 1);
  };
  return {
    program,
    optimizer,
    forwardBackward: () => program.run({ parameters, accumulators, ...batch }),
    update,
  };
}

function initialParameters(size: StepSize): Record<string, TrainableParameter> {
  const entries = Object.entries(parameterShapes(size)).map(([name, shape]) => {
    const length = sizeOf(shape);
    const data = async (target: Float32Array) => {
      const isNorm = name.endsWith('norm.weight');
      for (let i = 0; i < length; i += 1)
        target[i] = isNorm ? 1 : 0.02 * Math.sin(12.9898 * i + name.length);
    };
    return [name, { shape, data, group: 'language-model' as const }];
  });
  return Object.fromEntries(entries);
}

async function benchStep(size: StepSize): Promise<void> {
  const product = await openProduct();
  const step = await openStep(size);
  const peer = await openPytorchStep(size);
  const measured = await interleaved(product, step, peer, size.hiddenSize > 512 ? 9 : 15);
  const { flops, nodes, traceMs, sessionMs } = step.program.stats;
  const matmul = gflops(product.program.stats.flops, measured.product);
  const stepMs = measured.forwardBackward + measured.update;
  const whole = gflops(flops, stepMs);
  emit(BENCH, `step-${size.name}`, {
    tokens: size.tokens,
    step_gflops: whole,
    matmul_gflops: matmul,
    ratio: whole / matmul,
    forward_backward_ratio: gflops(flops, measured.forwardBackward) / matmul,
    step_ms: stepMs,
    adamw_ms: measured.update,
    nodes,
    trace_ms: traceMs,
    session_ms: sessionMs,
    event_loop_p99_ms: measured.eventLoopP99,
    peak_rss_mb: peakRssMb(),
    pytorch_step_ms: measured.peer ?? null,
    pytorch_matmul_gflops: peer?.matmulGflops ?? null,
    time_ratio: measured.peer === undefined ? null : stepMs / measured.peer,
  });
  await peer?.close();
  await step.program.dispose();
  await step.optimizer.dispose();
  await product.program.dispose();
}

/** Product, step and peer by turns, so that all meet the same machine. Medians in milliseconds. */
async function interleaved(
  product: Product,
  step: Step,
  peer: PytorchStep | undefined,
  rounds: number,
) {
  const parts = {
    product: [] as number[],
    forwardBackward: [] as number[],
    update: [] as number[],
    peer: [] as number[],
  };
  const once = { warm: 0, repeats: 1 };
  await times(product.run, { warm: 2, repeats: 0 });
  await times(step.forwardBackward, { warm: 2, repeats: 0 });
  await times(step.update, { warm: 1, repeats: 0 });
  const delay = monitorEventLoopDelay({ resolution: 1 });
  delay.enable();
  for (let round = 0; round < rounds; round += 1) {
    parts.product.push(...(await times(product.run, once)));
    parts.forwardBackward.push(...(await times(step.forwardBackward, once)));
    parts.update.push(...(await times(step.update, once)));
    if (peer !== undefined) parts.peer.push(await peer.run());
  }
  delay.disable();
  return {
    product: median(parts.product),
    forwardBackward: median(parts.forwardBackward),
    update: median(parts.update),
    peer: peer === undefined ? undefined : median(parts.peer),
    eventLoopP99: delay.percentile(99) / 1e6,
  };
}

// ---------------------------------------------------------------------------------------------- 3D heads

async function benchHeads(preset: 'tiny' | 'small'): Promise<void> {
  const product = await openProduct();
  emit(BENCH, `heads-${preset}`, await measureHeads(preset, product));
  await product.program.dispose();
}

// ---------------------------------------------------------------------------------------------- small costs

/** What a node costs when it has almost nothing to do. */
async function benchNodes(): Promise<void> {
  const nodes = 500;
  const chain = ({ x }: { x: Tensor }) => {
    let y = x;
    for (let i = 0; i < nodes; i += 1) y = i % 2 === 0 ? tf.sin(y) : tf.cos(y);
    return { y };
  };
  const program = await compile(chain, { x: float32(8) }, { name: 'chain' });
  const x = createTensor(float32(8));
  const y = createTensor(float32(8));
  const measured = await times(() => program.run({ x }, { y }), { warm: 20, repeats: 200 });
  emit(BENCH, 'nodes', { nodes, us_per_node: (1000 * median(measured)) / nodes });
  await program.dispose();
}

/** Bytes that AdamW has to move (read θ, m, v, g; write θ, m, v, g) beside a plain copy of one array. */
async function benchAdamw(): Promise<void> {
  const length = UPDATE_BLOCK * 2 ** 18;
  const data = new Float32Array(length).fill(0.5);
  const weights = { weights: { shape: [length], data, group: 'language-model' as const } };
  const optimizer = await AdamwOptimizer.create(weights, ADAMW, 'cpu');
  const target = new Float32Array(length);
  const copies: number[] = [];
  const updates: number[] = [];
  for (let t = 1; t <= 12; t += 1) {
    copies.push(...(await times(async () => target.set(data), { warm: 0, repeats: 1 })));
    updates.push(...(await times(() => optimizer.step(t, RATES, 1), { warm: 0, repeats: 1 })));
  }
  const perElement = 8 * Float32Array.BYTES_PER_ELEMENT;
  const adamw = (perElement * length) / median(updates.slice(2)) / 1e6;
  const copy = (2 * Float32Array.BYTES_PER_ELEMENT * length) / median(copies.slice(2)) / 1e6;
  emit(BENCH, 'adamw', {
    parameters: length,
    adamw_gb_s: adamw,
    copy_gb_s: copy,
    ratio: adamw / copy,
  });
  await optimizer.dispose();
}

/** Small enough that thousands of steps take seconds. */
const SMALL: StepSize = {
  name: 'small',
  hiddenSize: 64,
  intermediateSize: 128,
  heads: 1,
  layers: 2,
  vocabularySize: 512,
  tokens: 32,
};

/** Memory after many steps beside memory after the first hundred. */
async function benchMemory(): Promise<void> {
  const steps = 2000;
  const step = await openStep(SMALL);
  let early = 0;
  for (let i = 1; i <= steps; i += 1) {
    await step.forwardBackward();
    await step.update();
    if (i === 200) early = settledRssMb();
  }
  emit(BENCH, 'memory', { steps, rss_after_200_mb: early, rss_growth_mb: settledRssMb() - early });
  await step.program.dispose();
  await step.optimizer.dispose();
}

/** Memory that compiled and disposed programs leave behind. */
async function benchSessions(): Promise<void> {
  const programs = 480;
  let early = 0;
  for (let i = 1; i <= programs; i += 1) {
    const step = await openStep(SMALL);
    await step.forwardBackward();
    await step.program.dispose();
    await step.optimizer.dispose();
    if (i === 40) early = settledRssMb();
  }
  emit(BENCH, 'sessions', {
    programs,
    rss_after_40_mb: early,
    rss_growth_mb: settledRssMb() - early,
  });
}

/** Products with bfloat16 weights that stay in their file, and what they add to the process' own memory. */
async function benchMapped(): Promise<void> {
  const [layers, width] = [8, 8192];
  const folder = await mkdtemp(path.join(tmpdir(), 'spatialsv-bench-'));
  try {
    const file = path.join(folder, 'weights.bin');
    const bytes = 2 * width * width;
    await writeFile(file, new Uint8Array(layers * bytes));
    const names = Array.from({ length: layers }, (_, i) => `w${i}`);
    const weights = Object.fromEntries(
      names.map((name, i) => [
        name,
        {
          kind: 'mapped' as const,
          shape: [width, width],
          storedAs: 'BF16' as const,
          file,
          byteOffset: i * bytes,
          byteLength: bytes,
        },
      ]),
    );
    const chain = (inputs: Record<string, Tensor>) => ({
      y: names.reduce((x, name) => ops.linear(x, inputs[name]!), inputs['x']!),
    });
    const before = ownMemoryMb();
    const program = await compile(
      chain,
      { ...weights, x: float32(256, width) },
      { name: 'mapped' },
    );
    const x = createTensor(float32(256, width));
    const y = createTensor(float32(256, width));
    const measured = await times(() => program.run({ x }, { y }), { warm: 1, repeats: 5 });
    emit(BENCH, 'mapped', {
      weights_mb: (layers * bytes) / 2 ** 20,
      own_memory_growth_mb: ownMemoryMb() - before,
      gflops: gflops(program.stats.flops, median(measured)),
    });
    await program.dispose();
  } finally {
    await rm(folder, { recursive: true });
  }
}

/** Resident memory without what the collector would free. */
function settledRssMb(): number {
  globalThis.gc?.();
  return rssMb();
}
