/** Where the parts of a LLaVA model lie in its checkpoints, and what follows from that. */
import {
  type CheckpointContent,
  CLIP_NAMES,
  type DecoderConfig,
  type DecoderNames,
  decoderShapes,
  groupsByScope,
  type ProjectorNames,
  parameterScope,
  project,
  projectorShapes,
  type Shapes,
  shapesBelow,
  type Tensor,
  type TinyModelOptions,
  tiedContent,
  tinyModelWeights,
  towerShapes,
} from '@spatialsv/core/kit';
import type { Parameters } from '@spatialsv/core/spec';
import { type FixedTower, isIdle } from './towers.js';

export interface ModelNames {
  /** Scope of the vision tower. */
  readonly vision: string;
  /** Scope of the projector. */
  readonly projector: string;
  readonly ofProjector: ProjectorNames;
  /** The learnt row that ends rows or frames. */
  readonly newline: string;
  readonly decoder: DecoderNames;
}

/** The parts of a model. */
export interface ModelParts {
  readonly vision: FixedTower;
  readonly decoder: DecoderConfig;
}

/** Learning-rate group of a published name. */
export const groupOf = ({ vision, projector, newline }: ModelNames) =>
  groupsByScope({ vision: [vision], projector: [projector, newline] });

/** Every tensor that is read, with its shape, by published name. Linear weights are (out, in). */
export const shapesOf = (
  names: ModelNames,
  { vision, decoder }: ModelParts,
  readsNewline: boolean,
): Shapes => ({
  ...towerBelow(names, vision.tower),
  ...shapesBelow(
    names.projector,
    projectorShapes(names.ofProjector, vision.tower.width, decoder.hiddenSize),
  ),
  ...(readsNewline && newlineShape(names, decoder)),
  ...decoderShapes(decoder, names.decoder),
});

/** The same with what published files hold beside it: a norm behind the tower, the newline. @param depth blocks in the file. */
export const storedShapesOf = (
  names: ModelNames,
  model: ModelParts,
  readsNewline: boolean,
  depth = model.vision.storedDepth,
): Shapes => {
  const { tower } = model.vision;
  return {
    ...towerBelow(names, { ...tower, depth, postNorm: tower.norm }),
    ...(!readsNewline && newlineShape(names, model.decoder)),
    ...shapesOf(names, model, readsNewline),
  };
};

const towerBelow = ({ vision }: ModelNames, tower: FixedTower['tower']): Shapes =>
  shapesBelow(vision, towerShapes(tower, CLIP_NAMES));

const newlineShape = ({ newline }: ModelNames, { hiddenSize }: DecoderConfig): Shapes => ({
  [newline]: [hiddenSize],
});

/** What a checkpoint folder holds; a newline that is not read may be there. */
export const contentOf = <Model extends ModelParts>(
  names: ModelNames,
  model: Model,
  readsNewline: boolean,
): Pick<CheckpointContent, 'shapes' | 'tied' | 'isUnread'> => ({
  ...tiedContent(model, (parts) => shapesOf(names, parts, readsNewline), names.decoder),
  isUnread: (name) =>
    (name === names.newline && !readsNewline) ||
    (name.startsWith(`${names.vision}.`) &&
      isIdle(model.vision, name.slice(names.vision.length + 1))),
});

/** The projector of patches or pooled cells. @param x (n, Cv). @returns (n, C). */
export const projectRows = (names: ModelNames, parameters: Parameters, x: Tensor): Tensor =>
  project(parameterScope(parameters, names.projector), names.ofProjector, x);

/** Random weights of a tiny checkpoint. @param shapes of its file. */
export const tinyWeightsOf = (
  names: ModelNames,
  { vision, decoder }: ModelParts,
  shapes: Shapes,
  options: TinyModelOptions,
) =>
  tinyModelWeights(
    {
      shapes,
      layers: decoder.layers,
      tower: vision.tower,
      vision: names.vision,
      names: CLIP_NAMES,
      output: `${names.projector}.${names.ofProjector.second}`,
    },
    options,
  );
