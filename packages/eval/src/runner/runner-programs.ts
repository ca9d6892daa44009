import type {
  BackboneV1,
  GeometryHeadModelV1,
  Parameters,
  ViewInputV1,
  WeightBinding,
} from '@spatialsv/core';
import {
  type CompiledProgram,
  compile,
  float32,
  type ProgramTarget,
  type Tensor,
} from '@spatialsv/engine';

/** The backbone, and the weights of its vision encoder and projector. */
export interface ProgramContext extends ProgramTarget {
  readonly backbone: BackboneV1;
  readonly vision: WeightBinding;
}

/**
 * One view: (P, …) pixel values → its `rows` (N, C) for the decoder, and the `states` (P, Cv) after the asked blocks of the
 * vision encoder, by number.
 */
export function compileVision(
  context: ProgramContext,
  view: ViewInputV1,
  blocks: readonly number[] = [],
): Promise<CompiledProgram> {
  const { backbone, device, precision, vision } = context;
  const { layout, pixelShape } = view;
  return compile(
    ({ parameters, pixelValues }: { parameters: Parameters; pixelValues: Tensor }) => {
      const { features, states } = backbone.encodeView(parameters, pixelValues, layout, blocks);
      const rows = backbone.projectView(parameters, features, layout);
      return { rows, states: states as Record<string, Tensor> };
    },
    { parameters: vision.specs, pixelValues: float32(...pixelShape) },
    { device, precision, name: 'vision' },
  );
}

export interface HeadsShape {
  readonly views: number;
  readonly h: number;
  readonly w: number;
  readonly height: number;
  readonly width: number;
}

/** Taps `t0`, `t1`, … (V, h, w, C) → the maps of the heads, always in float32: 16 bits would give depth in steps of 0.4 %. */
export function compileHeads(
  context: ProgramContext,
  heads: GeometryHeadModelV1,
  parameters: Readonly<Record<string, readonly number[]>>,
  shape: HeadsShape,
): Promise<CompiledProgram> {
  const { views, h, w } = shape;
  const tap = float32(views, h, w, context.backbone.config.hiddenSize);
  const names = Array.from({ length: heads.tapCount }, (_, i) => `t${i}`);
  const program = (inputs: { parameters: Parameters; taps: Readonly<Record<string, Tensor>> }) => {
    const taps = names.map((name) => inputs.taps[name]!);
    const maps = heads.doPredict(inputs.parameters, taps, shape);
    return Object.fromEntries(Object.entries(maps)) as Record<string, Tensor>;
  };
  const weights = Object.fromEntries(
    Object.entries(parameters).map(([name, size]) => [name, float32(...size)]),
  );
  const taps = Object.fromEntries(names.map((name) => [name, tap]));
  const specs = { parameters: weights, taps };
  return compile(program, specs, { device: context.device, name: 'heads' });
}
