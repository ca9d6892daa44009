/** From a checkpoint folder to the backbone that the contract asks for: what all families do alike. */
import path from 'node:path';
import { readCheckpointConfig } from '../checkpoint-folder.js';
import type { JsonObject } from '../json.js';
import { createDecoder, type DecoderConfig, type DecoderNames, type Shapes } from '../nn/index.js';
import type {
  BackboneConfigV1,
  BackboneV1,
  GenerationSettingsV1,
  ParameterGroup,
} from '../spec.js';
import { backboneConfigOf, type FamilyDefaults } from './backbone-config.js';
import { type CheckpointContent, type OpenedCheckpoint, openCheckpoint } from './checkpoint.js';
import { refuseExtremeShape } from './image-processor.js';
import type { TextCodec } from './text-processor.js';

/** What config.json says of any model. */
interface ModelConfig {
  readonly decoder: DecoderConfig;
}

export interface ModelFolder<Config> {
  /** Content of config.json. */
  readonly raw: JsonObject;
  /** The same as its family reads it; whether the output matrix is tied, as the weights have it. */
  readonly config: Config;
  readonly checkpoint: OpenedCheckpoint;
}

/**
 * Reads config.json and opens the weights.
 * @param parse of config.json; `where` is its path, for messages. @param contentOf what the folder holds.
 * @throws SpatialError FILE_MISSING | FILE_INVALID | CONFIG_INVALID | WEIGHT_MISSING | WEIGHT_UNEXPECTED | SHAPE_MISMATCH.
 */
export async function openModelFolder<Config extends ModelConfig>(
  folder: string,
  parse: (config: JsonObject, where: string) => Config,
  contentOf: (config: Config) => CheckpointContent,
): Promise<ModelFolder<Config>> {
  const raw = await readCheckpointConfig(folder);
  const parsed = parse(raw, path.join(folder, 'config.json'));
  const checkpoint = await openCheckpoint(folder, contentOf(parsed));
  const decoder = { ...parsed.decoder, tieHead: checkpoint.isTied };
  return { raw, config: { ...parsed, decoder }, checkpoint };
}

/** Shapes of a model with its output matrix, and the table that this may be. */
export const tiedContent = <Config extends ModelConfig>(
  config: Config,
  shapesOf: (config: Config) => Shapes,
  names: DecoderNames,
): Pick<CheckpointContent, 'shapes' | 'tied'> => ({
  shapes: shapesOf({ ...config, decoder: { ...config.decoder, tieHead: false } }),
  tied: {
    name: names.head,
    source: `${names.model}.embed_tokens.weight`,
    isTied: config.decoder.tieHead,
  },
});

/**
 * Learning-rate groups by the scopes of the parts; a name below none of them is of the language model.
 * @param scopes full names, or scopes of names; those of the projector may lie below the vision tower.
 */
export const groupsByScope =
  (scopes: Readonly<Record<'projector' | 'vision', readonly string[]>>) =>
  (name: string): ParameterGroup => {
    const isOf = (scope: string) => name === scope || name.startsWith(`${scope}.`);
    if (scopes.projector.some(isOf)) return 'projector';
    return scopes.vision.some(isOf) ? 'vision' : 'language-model';
  };

/** What differs between the backbones of opened folders. */
export interface OpenedParts
  extends Pick<
    BackboneV1,
    'adapterId' | 'folder' | 'parameterGroup' | 'prepare' | 'encodeView' | 'projectView'
  > {
  /** What the family says of its published models. */
  readonly family: FamilyDefaults;
  /** 1 where absent. */
  readonly positionRows?: BackboneConfigV1['positionRows'];
  /** Blocks of the vision tower that run. */
  readonly visionBlocks: number;
  readonly generation: GenerationSettingsV1;
  readonly checkpoint: OpenedCheckpoint;
  readonly text: TextCodec;
  readonly decoder: DecoderConfig;
  readonly decoderNames: DecoderNames;
  /** By default images of extreme shape are refused. */
  readonly requireImageSize?: NonNullable<BackboneV1['requireImageSize']>;
}

/** The backbone of an opened folder. */
export function openedBackbone(parts: OpenedParts): BackboneV1 {
  const { checkpoint, text, decoder, decoderNames, family, ...rest } = parts;
  const { positionRows = 1, visionBlocks, generation, ...own } = rest;
  return {
    requireImageSize: ({ height, width, path: name }) => refuseExtremeShape(height, width, name),
    ...own,
    config: backboneConfigOf({ decoder, positionRows, visionBlocks, generation }, family),
    weights: checkpoint.weights,
    findings: checkpoint.findings,
    decodeTokens: text.decode,
    decoder: createDecoder(decoder, decoderNames),
    save: checkpoint.save,
  };
}
