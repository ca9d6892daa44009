import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import {
  type BackboneV1,
  readSpatialCheckpoint,
  type SpatialCheckpoint,
  writeSpatialCheckpoint,
} from '@spatialsv/core';
import { liveHandles, openDevice, registerDevice } from '@spatialsv/engine';
import { BackboneRunner } from '@spatialsv/eval';
import { createScene, renderView } from '@spatialsv/vfm-synthetic';
import { composePlugins } from '../composition.js';
import { findAdapter, openModel } from '../model.js';
import { emit, ownMemoryMb, rssMb } from './measure.js';

/** Pixels of a cell of the grid of visual tokens. */
const CELL = 28;
const [ROWS, COLUMNS] = [10, 20];
const SIZES = ROWS * COLUMNS;
/** Images after which every cache of programs is full. */
const FULL = 100;
const HEADS = { preset: 'tiny', outputScale: 4 };
const QUESTION = 'What stands to the left of the table?';
const NEW_TOKENS = 8;

interface Size {
  readonly width: number;
  readonly height: number;
}

/** As many sizes as there are, small and large throughout; the largest is the first. */
const sizes = (): Size[] =>
  Array.from({ length: SIZES }, (_, i) => {
    const place = SIZES - 1 - ((i * 77) % SIZES);
    return {
      height: CELL * (3 + Math.floor(place / COLUMNS)),
      width: CELL * (3 + (place % COLUMNS)),
    };
  });

/** An evaluation of a tiny checkpoint: an answer and the maps of the 3D heads for an image of every size. */
async function benchEvaluation(): Promise<void> {
  await inTemporaryFolder(async (folder) => {
    const { backbone, heads } = await openTiny(folder);
    const run = new Measurement('eval');
    const runner = new BackboneRunner(backbone, { device: run.device });
    for (const [i, size] of sizes().entries()) {
      if (i === FULL) run.full();
      await answer(runner, heads, renderImage(i, size));
    }
    run.end({ new_tokens: NEW_TOKENS });
    await runner.dispose();
  });
}

async function answer(
  runner: BackboneRunner,
  heads: SpatialCheckpoint,
  { image }: ReturnType<typeof renderView>,
) {
  const inputs = await runner.backbone.prepare({ images: [image], question: QUESTION });
  await runner.generate(inputs, { maxNewTokens: NEW_TOKENS });
  await runner.predictGeometry(inputs, heads);
}

async function inTemporaryFolder(work: (folder: string) => Promise<void>): Promise<void> {
  const folder = await mkdtemp(join(tmpdir(), 'spatialsv-bench-'));
  try {
    await work(folder);
  } finally {
    await rm(folder, { recursive: true });
  }
}

async function openTiny(
  folder: string,
): Promise<{ readonly backbone: BackboneV1; readonly heads: SpatialCheckpoint }> {
  const plugins = await composePlugins(folder);
  const model = join(folder, 'model');
  await findAdapter('qwen2.5-vl', plugins).writeTiny({ folder: model, seed: 1 });
  const backbone = await openModel(model, plugins);
  const { defaultTaps: taps, hiddenSize } = backbone.config;
  const heads = await plugins.resolveGeometryHead('dpt').configure(HEADS);
  const widths = taps.map(() => hiddenSize);
  const parameters = heads.initialise(widths, 1);
  await writeSpatialCheckpoint(model, { taps, heads, featureChannels: 0, parameters });
  return { backbone, heads: (await readSpatialCheckpoint(model))! };
}

function renderImage(index: number, size: Size) {
  const scene = createScene(index);
  return renderView(scene, scene.cameras[0]!, size);
}

/** What a run takes and leaves behind: time, time of compiling, memory once the caches are full and at the end. */
class Measurement {
  /** The CPU, with compiling counted. */
  readonly device = 'counted-cpu';
  readonly #case: string;
  readonly #started = performance.now();
  #programs = 0;
  #compiling = 0;
  #early = { own: 0, rss: 0, heap: 0, handles: 0 };

  constructor(name: string) {
    this.#case = name;
    const cpu = openDevice('cpu');
    registerDevice(this.device, () => ({
      name: this.device,
      createTensor: (spec, data) => cpu.createTensor(spec, data),
      compile: async (program, specs, options) => {
        const compiled = await cpu.compile(program, specs, options);
        this.#programs += 1;
        this.#compiling += compiled.stats.traceMs + compiled.stats.sessionMs;
        return compiled;
      },
    }));
  }

  full(): void {
    this.#early = memory();
  }

  end(more: Readonly<Record<string, number>>): void {
    const seconds = (performance.now() - this.#started) / 1000;
    const late = memory();
    emit('sizes', this.#case, {
      sizes: SIZES,
      ...more,
      own_memory_after_100_mb: this.#early.own,
      own_memory_growth_mb: late.own - this.#early.own,
      resident_growth_mb: late.rss - this.#early.rss,
      heap_growth_mb: late.heap - this.#early.heap,
      native_object_growth: late.handles - this.#early.handles,
      programs: this.#programs,
      compile_ms: this.#compiling / this.#programs,
      compile_share: this.#compiling / 1000 / seconds,
      seconds,
    });
  }
}

const memory = () => ({
  own: ownMemoryMb(),
  rss: rssMb(),
  heap: process.memoryUsage().heapUsed / 2 ** 20,
  handles: liveHandles(),
});

export const SIZE_CASES: Readonly<Record<string, () => Promise<void>>> = {
  eval: benchEvaluation,
};
