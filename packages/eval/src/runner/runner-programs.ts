import type { BackboneV1, GeometryHeadModelV1, Parameters, ViewInputV1 } from '@spatialsv/core';
import {
  type CompiledProgram,
  compile,
  float32,
  int32,
  type SpecTree,
  type Tensor,
  tf,
} from '@spatialsv/engine';
import type { PaddedSequence } from './sequence-layout.js';

/** The backbone, and where its weights come from: mapped from the files, or specs of tensors given at each run. */
export interface ProgramContext {
  readonly backbone: BackboneV1;
  readonly device: string;
  readonly vision: SpecTree;
  readonly decoder: SpecTree;
}

/** One view: (P, …) pixel values → (h·w, C) rows. */
export function compileVision(
  context: ProgramContext,
  view: ViewInputV1,
): Promise<CompiledProgram> {
  const { backbone, device, vision } = context;
  return compile(
    ({ parameters, pixelValues }: { parameters: Parameters; pixelValues: Tensor }) => {
      const features = backbone.encodeView(parameters, pixelValues, view.gridThw);
      return { rows: backbone.projectView(parameters, features, view.gridThw) };
    },
    { parameters: vision, pixelValues: float32(...view.pixelShape) },
    { device, name: 'vision' },
  );
}

interface SequenceTensors {
  readonly parameters: Parameters;
  readonly inputIds: Tensor;
  readonly positions: Tensor;
  readonly spliceIndex?: Tensor;
  readonly visualRows?: Tensor;
}

function sequenceSpecs(context: ProgramContext, sequence: PaddedSequence) {
  const { length, positionRows, visualCapacity } = sequence;
  const text = {
    parameters: context.decoder,
    inputIds: int32(length),
    positions: int32(positionRows, length),
  };
  if (visualCapacity === 0) return text;
  const visualRows = float32(visualCapacity, context.backbone.config.hiddenSize);
  return { ...text, spliceIndex: int32(length), visualRows };
}

const embedded = (backbone: BackboneV1, t: SequenceTensors): Tensor =>
  backbone.embed(t.parameters, t.inputIds, t.spliceIndex, t.visualRows);

/** Hidden states `h<l>` (T, C) of some layers and, where asked, `logits` (T, K) of a whole sequence. */
export function compileForward(
  context: ProgramContext,
  sequence: PaddedSequence,
  layers: readonly number[],
  logits: boolean,
): Promise<CompiledProgram> {
  const { backbone, device } = context;
  const program = (tensors: SequenceTensors) => {
    const inputs = { embeddings: embedded(backbone, tensors), positions: tensors.positions };
    const { hidden, last } = backbone.decode(tensors.parameters, inputs, {
      taps: layers,
      last: logits,
    });
    const taps = layers.map((layer) => [`h${layer}`, hidden[layer]!] as const);
    if (!logits) return Object.fromEntries(taps);
    return { ...Object.fromEntries(taps), logits: backbone.logits(tensors.parameters, last!) };
  };
  return compile(program, sequenceSpecs(context, sequence), { device, name: 'forward' });
}

const byLayer = (tensors: readonly Tensor[]): Record<string, Tensor> =>
  Object.fromEntries(tensors.map((tensor, layer) => [String(layer), tensor]));

/** A whole prompt: `logits` (1, K) of the row `lastRow`, and `cache` (kvHeads, capacity, hd) per layer. */
export function compilePrefill(
  context: ProgramContext,
  sequence: PaddedSequence,
  capacity: number,
): Promise<CompiledProgram> {
  const { backbone, device } = context;
  const grown = (x: Tensor) =>
    tf.pad(x, [
      [0, 0],
      [0, capacity - sequence.length],
      [0, 0],
    ]);
  const program = (tensors: SequenceTensors & { readonly lastRow: Tensor }) => {
    const inputs = { embeddings: embedded(backbone, tensors), positions: tensors.positions };
    const { last, cache } = backbone.decode(tensors.parameters, inputs, { taps: [], last: true });
    const row = tf.gather(last!, tensors.lastRow as tf.Tensor1D);
    return {
      logits: backbone.logits(tensors.parameters, row),
      cache: {
        keys: byLayer(cache.keys.map(grown)),
        values: byLayer(cache.values.map(grown)),
      },
    };
  };
  const specs = { ...sequenceSpecs(context, sequence), lastRow: int32(1) };
  return compile(program, specs, { device, name: 'prefill' });
}

interface StepTensors {
  readonly parameters: Parameters;
  readonly inputIds: Tensor;
  readonly positions: Tensor;
  readonly slot: Tensor;
  readonly cache: {
    readonly keys: Readonly<Record<string, Tensor>>;
    readonly values: Readonly<Record<string, Tensor>>;
  };
}

/** One token more: `logits` (1, K); the cache is state. */
export function compileStep(context: ProgramContext, capacity: number): Promise<CompiledProgram> {
  const { backbone, device } = context;
  const { layers, kvHeads, headDim, positionRows } = backbone.config;
  const list = (record: Readonly<Record<string, Tensor>>) =>
    Array.from({ length: layers }, (_, layer) => record[String(layer)]!);
  const program = ({ parameters, inputIds, positions, slot, cache }: StepTensors) => {
    const inputs = {
      embeddings: backbone.embed(parameters, inputIds),
      positions,
      cache: { keys: list(cache.keys), values: list(cache.values) },
      cacheSlot: slot,
    };
    const { last, cache: next } = backbone.decode(parameters, inputs, { taps: [], last: true });
    return {
      logits: backbone.logits(parameters, last!),
      cache: { keys: byLayer([...next.keys]), values: byLayer([...next.values]) },
    };
  };
  const slots = Object.fromEntries(
    Array.from({ length: layers }, (_, layer) => [
      String(layer),
      float32(kvHeads, capacity, headDim),
    ]),
  );
  const specs = {
    parameters: context.decoder,
    inputIds: int32(1),
    positions: int32(positionRows, 1),
    slot: int32(),
    cache: { keys: slots, values: slots },
  };
  return compile(program, specs, { device, state: ['cache'], name: 'decode-step' });
}

export interface HeadsShape {
  readonly views: number;
  readonly h: number;
  readonly w: number;
  readonly height: number;
  readonly width: number;
}

/** Four taps `t0` … `t3` (V, h, w, C) → the maps of the heads. */
export function compileHeads(
  context: ProgramContext,
  heads: GeometryHeadModelV1,
  parameters: Readonly<Record<string, readonly number[]>>,
  shape: HeadsShape,
): Promise<CompiledProgram> {
  const { views, h, w } = shape;
  const tap = float32(views, h, w, context.backbone.config.hiddenSize);
  const program = (inputs: { parameters: Parameters; taps: Readonly<Record<string, Tensor>> }) => {
    const taps = [0, 1, 2, 3].map((i) => inputs.taps[`t${i}`]!);
    const maps = heads.doPredict(inputs.parameters, taps, shape);
    return Object.fromEntries(Object.entries(maps)) as Record<string, Tensor>;
  };
  const weights = Object.fromEntries(
    Object.entries(parameters).map(([name, size]) => [name, float32(...size)]),
  );
  const specs = { parameters: weights, taps: { t0: tap, t1: tap, t2: tap, t3: tap } };
  return compile(program, specs, { device: context.device, name: 'heads' });
}
