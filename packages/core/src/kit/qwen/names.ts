/** Names in checkpoints that lay tower and decoder out as Qwen's vision models do. */
import {
  type DecoderConfig,
  type DecoderNames,
  decoderShapes,
  type Shapes,
} from '../../nn/index.js';
import type { ParameterGroup } from '../../spec.js';
import { type CheckpointContent, renamed } from '../checkpoint.js';
import { type CellVision, cellVisionShapes, MERGER } from './vision.js';

/** Where the decoder lies in published files. */
export const CELL_DECODER_NAMES: DecoderNames = { model: 'model', head: 'lm_head.weight' };

/** In-memory prefixes of transformers ≥ 4.52 beside the published ones. */
const PREFIXES = [
  { inMemory: 'model.visual.', published: 'visual.' },
  { inMemory: 'model.language_model.', published: 'model.' },
] as const;

/** Published name of a tensor that a file may hold under its in-memory name. Published names stay as they are. */
export function publishedCellName(name: string): string {
  const prefix = PREFIXES.find(({ inMemory }) => name.startsWith(inMemory));
  return prefix === undefined ? name : prefix.published + name.slice(prefix.inMemory.length);
}

/** In-memory name (transformers ≥ 4.52) of a published one; the inverse of {@link publishedCellName}. */
export function inMemoryCellName(name: string): string {
  const prefix = PREFIXES.find(({ published }) => name.startsWith(published));
  return prefix === undefined ? name : prefix.inMemory + name.slice(prefix.published.length);
}

/** Learning-rate group of a published name; every tensor belongs to one of the three. */
export function cellParameterGroup(name: string): ParameterGroup {
  if (name.startsWith(`${MERGER}.`)) return 'projector';
  return name.startsWith('visual.') ? 'vision' : 'language-model';
}

/** Every tensor of a checkpoint with its shape, by published name. Linear weights are (out, in). */
export const cellShapes = (vision: CellVision, decoder: DecoderConfig): Shapes => ({
  ...cellVisionShapes(vision),
  ...decoderShapes(decoder, CELL_DECODER_NAMES),
});

/** What a checkpoint folder holds, under published or in-memory names. */
export const cellCheckpoint = (vision: CellVision, decoder: DecoderConfig): CheckpointContent => ({
  shapes: cellShapes(vision, { ...decoder, tieHead: false }),
  names: renamed(publishedCellName),
  tied: {
    name: CELL_DECODER_NAMES.head,
    source: `${CELL_DECODER_NAMES.model}.embed_tokens.weight`,
    isTied: decoder.tieHead,
  },
});
