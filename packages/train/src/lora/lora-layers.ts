import {
  type BackboneV1,
  createRandom,
  layerOfWeight,
  lowRankNames,
  lowRankScale,
  matchesName,
  type ParameterValues,
  SpatialError,
} from '@spatialsv/core';
import type { RunConfig } from '../config/run-config.js';
import { sha256 } from '../data/sha256.js';
import { baseRates, noFit, type TrainedGroup, trainedMode } from '../groups.js';
import type { TrainableParameter } from '../optimizer/adamw-optimizer.js';

type LoraConfig = Pick<RunConfig, 'train' | 'lora' | 'optimizer' | 'seed'>;

/** A linear layer whose weight is frozen beside an update that is trained. */
export interface LoraLayer {
  /** Published name, without `.weight`. */
  readonly name: string;
  readonly group: TrainedGroup;
  /** (out, in) of its weight. */
  readonly shape: readonly [number, number];
}

/**
 * Layers with a low-rank update: those of two-dimensional weights whose mode is `lora` and, if there are targets, which one of
 * them names.
 * @throws SpatialError CONFIG_INVALID for a target that names none of them, and where no layer is left.
 */
export function loraLayers(
  config: LoraConfig,
  backbone: Pick<BackboneV1, 'weights' | 'parameterGroup' | 'decoder'>,
): readonly LoraLayer[] {
  const { targets } = config.lora;
  const candidates = updatableLayers(config, backbone, targets !== undefined);
  if (candidates.length === 0 && usesLora(config)) throw noLayers();
  const idle = targets?.find((target) => !candidates.some(({ name }) => isTarget(target, name)));
  if (idle !== undefined && candidates.length > 0)
    throw noFit(
      'lora.targets',
      idle,
      candidates.map(({ name }) => name),
    );
  return candidates.filter(({ name }) => targets?.some((target) => isTarget(target, name)) ?? true);
}

const usesLora = ({ train: { llm, mm, names } }: LoraConfig): boolean =>
  [llm, mm, ...Object.values(names)].includes('lora');

/** A name, the end of one from a dot on as PEFT takes it, or a pattern. */
const isTarget = (target: string, layer: string): boolean =>
  layer === target || layer.endsWith(`.${target}`) || matchesName(target, layer);

function updatableLayers(
  config: LoraConfig,
  { weights, parameterGroup, decoder }: Parameters<typeof loraLayers>[1],
  withOutput: boolean,
): readonly LoraLayer[] {
  const rates = baseRates(config);
  const { embed, logits } = decoder.names;
  const left = new Set([...embed, ...(withOutput ? [] : logits)]);
  return Object.entries(weights).flatMap(([name, { shape }]): LoraLayer[] => {
    const group = parameterGroup(name);
    if (group === 'vision' || shape.length !== 2 || !name.endsWith('.weight') || left.has(name))
      return [];
    if (rates[group] === 0 || trainedMode(config, name, group) !== 'lora') return [];
    return [{ name: layerOfWeight(name), group, shape: shape as LoraLayer['shape'] }];
  });
}

const noLayers = () =>
  new SpatialError({
    code: 'CONFIG_INVALID',
    message: 'train: no linear layer is left for a low-rank update',
    hint: 'Set llm or mm to lora, with a learning rate above 0 for that part.',
  });

/**
 * Parameters of the updates before the first step: A uniform within ±1/√in, B zero, so that the model is unchanged. Each layer
 * draws from the seed and its name, whatever others there are.
 * Source: PEFT (`init_lora_weights: true`), torch.nn.init.kaiming_uniform_ with a = √5.
 */
export function loraParameters(
  layers: readonly LoraLayer[],
  { lora: { rank }, seed }: LoraConfig,
): Record<string, TrainableParameter> {
  return Object.fromEntries(
    layers.flatMap(({ name, group, shape: [out, into] }) => {
      const { down, up } = lowRankNames(name);
      const data = uniform(rank * into, 1 / Math.sqrt(into), `${seed} ${name}`);
      return [
        [down, { group, shape: [rank, into], data }],
        [up, { group, shape: [out, rank], data: new Float32Array(out * rank) }],
      ] as [string, TrainableParameter][];
    }),
  );
}

function uniform(count: number, bound: number, seed: string): Float32Array {
  const random = createRandom(Number.parseInt(sha256(seed).slice(0, 12), 16));
  return Float32Array.from({ length: count }, () => random.uniform(-bound, bound));
}

/** Scales of the updates, and the share of their inputs that is kept where some are dropped, by full name. */
export function loraConstants(
  layers: readonly LoraLayer[],
  { lora: { rank, alpha, dropout } }: LoraConfig,
): ParameterValues {
  const scalar = (value: number) => ({ data: Float32Array.of(value), shape: [] });
  return Object.fromEntries(
    layers.flatMap(({ name }) => {
      const { scale, keep } = lowRankNames(name);
      const scaled = [scale, scalar(lowRankScale(rank, alpha))] as const;
      return dropout === 0 ? [scaled] : [scaled, [keep, scalar(1 - dropout)] as const];
    }),
  );
}
