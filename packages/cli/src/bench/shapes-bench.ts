import {
  compile,
  createTensor,
  type DeviceTensor,
  float32,
  liveHandles,
  ProgramCache,
} from '@spatialsv/engine';
import {
  accumulatingProgram,
  parameterShapes,
  type StepSize,
  stepBatch,
  stepSpecs,
} from './decoder-step.js';
import { emit, ownMemoryMb } from './measure.js';

const SHAPES = 200;
const KEPT = 16;
/** Shapes after which the cache is full, and the working memory of the largest one was met. */
const FULL = 50;
const RUNS_PER_SHAPE = 4;
const LONGEST = 64 + 3 * SHAPES;

/** A small decoder with the number of nodes of a real one. */
const sizeOf = (tokens: number): StepSize => ({
  name: `shape of ${tokens}`,
  hiddenSize: 128,
  intermediateSize: 512,
  heads: 2,
  layers: 8,
  vocabularySize: 2048,
  tokens,
});

/** Sequence lengths in an order that meets long and short ones throughout; the longest is the first. */
const lengths = (): number[] =>
  Array.from({ length: SHAPES }, (_, i) => LONGEST - 3 * ((i * 77) % SHAPES));

/** A training run over images of as many sizes: what grows once the cache is full, and what compiling takes. */
export async function benchShapes(): Promise<void> {
  const programs = new ProgramCache(KEPT);
  const parameters = zeros();
  const accumulators = zeros();
  const started = performance.now();
  let compiling = 0;
  let early = { own: 0, heap: 0, handles: 0 };
  for (const [i, tokens] of lengths().entries()) {
    if (i === FULL) early = memory();
    const size = sizeOf(tokens);
    const open = async () => {
      const program = await openShape(size);
      compiling += program.stats.traceMs + program.stats.sessionMs;
      return program;
    };
    await programs.use(size.name, open, async (program) => {
      for (let run = 0; run < RUNS_PER_SHAPE; run++) {
        const outputs = await program.run({ parameters, accumulators, ...stepBatch(size) });
        (outputs as { loss: DeviceTensor }).loss.dispose();
      }
    });
  }
  const late = memory();
  const wall = performance.now() - started;
  await programs.dispose();
  emit('engine', 'shapes', {
    shapes: SHAPES,
    kept: KEPT,
    runs_per_shape: RUNS_PER_SHAPE,
    own_memory_after_50_mb: early.own,
    own_memory_growth_mb: late.own - early.own,
    heap_growth_mb: late.heap - early.heap,
    native_object_growth: late.handles - early.handles,
    compile_ms: compiling / SHAPES,
    compile_share: compiling / wall,
  });
}

const memory = () => ({
  own: ownMemoryMb(),
  heap: process.memoryUsage().heapUsed / 2 ** 20,
  handles: liveHandles(),
});

function zeros(): Record<string, DeviceTensor> {
  const shapes = Object.entries(parameterShapes(sizeOf(LONGEST)));
  return Object.fromEntries(shapes.map(([name, shape]) => [name, createTensor(float32(...shape))]));
}

function openShape(size: StepSize) {
  const specs = stepSpecs(size);
  return compile(
    accumulatingProgram(size),
    { ...specs, accumulators: specs.parameters },
    { state: ['accumulators'], name: size.name },
  );
}
