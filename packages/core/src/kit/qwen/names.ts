/** Names in checkpoints that lay tower and decoder out as Qwen's vision models do. */
import {
  type DecoderConfig,
  type DecoderNames,
  decoderShapes,
  type Shapes,
} from '../../nn/index.js';
import { type CheckpointContent, renamed, replacePrefix } from '../checkpoint.js';
import { groupsByScope, tiedContent } from '../opened-backbone.js';
import { type CellVision, cellVisionShapes, MERGER, TOWER } from './vision.js';

/** Where the decoder lies in published files. */
export const CELL_DECODER_NAMES: DecoderNames = { model: 'model', head: 'lm_head.weight' };

/** In-memory prefixes of transformers ≥ 4.52, and the published ones. */
const PREFIXES = [
  ['model.visual.', 'visual.'],
  ['model.language_model.', 'model.'],
] as const;

/** Published name of a tensor that a file may hold under its in-memory name. Published names stay as they are. */
export const publishedCellName = (name: string): string => replacePrefix(name, PREFIXES);

/** In-memory name (transformers ≥ 4.52) of a published one; the inverse of {@link publishedCellName}. */
export const inMemoryCellName = (name: string): string =>
  replacePrefix(
    name,
    PREFIXES.map(([inMemory, published]) => [published, inMemory]),
  );

/** Learning-rate group of a published name; every tensor belongs to one of the three. */
export const cellParameterGroup = groupsByScope({ vision: [TOWER], projector: [MERGER] });

/** Every tensor of a checkpoint with its shape, by published name. Linear weights are (out, in). */
export const cellShapes = (vision: CellVision, decoder: DecoderConfig): Shapes => ({
  ...cellVisionShapes(vision),
  ...decoderShapes(decoder, CELL_DECODER_NAMES),
});

/** What a checkpoint folder holds, under published or in-memory names. */
export const cellCheckpoint = (model: {
  readonly vision: CellVision;
  readonly decoder: DecoderConfig;
}): CheckpointContent => ({
  ...tiedContent(model, ({ vision, decoder }) => cellShapes(vision, decoder), CELL_DECODER_NAMES),
  names: renamed(publishedCellName),
});
