import { readFile, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { parseJsonText } from '@spatialsv/core/kit';
import { SpatialError } from '@spatialsv/core/spec';
import { z } from 'zod';
import { MOTIONS, OBJECT_KINDS, type Scene, SURFACES, TEXTURE_KINDS } from './scene.js';

export const SCENE_FILE = 'scene.json';

/** Rises whenever the same scene would be rendered with other geometry: older label files are then refused. */
export const RENDERER_VERSION = 1;

/** What stands beside the images of one scene: enough to render all of them again, exactly. */
export interface SceneFile {
  readonly format: 'spatialsv-synthetic-scene';
  readonly rendererVersion: number;
  /** Size of the images, pixels. */
  readonly width: number;
  readonly height: number;
  /** Image file of each camera, relative to the scene file. */
  readonly images: readonly string[];
  readonly scene: Scene;
}

const number = z.number();
const size = z.number().int().positive().max(16384);
const vector = z.tuple([number, number, number]);
const material = z.strictObject({
  texture: z.enum(TEXTURE_KINDS),
  colour: vector,
  second: vector,
  scale: z.number().positive(),
  glow: number,
});
const decor = z.strictObject({
  kind: z.enum(['window', 'door', 'picture']),
  surface: z.number().int().min(2).max(5),
  along: number,
  above: number,
  width: z.number().positive(),
  height: z.number().positive(),
  colour: vector,
});
const room = z.strictObject({
  width: z.number().positive(),
  depth: z.number().positive(),
  height: z.number().positive(),
  materials: z.array(material).length(SURFACES.length),
  decor: z.array(decor),
  light: vector,
});
const object = z.strictObject({
  name: z.string().min(1),
  kind: z.enum(OBJECT_KINDS),
  colour: vector,
  position: z.tuple([number, number]),
  yawDeg: number,
  size: z.tuple([z.number().positive(), z.number().positive(), z.number().positive()]),
});
const camera = z.strictObject({
  position: vector,
  yawDeg: number,
  pitchDeg: number,
  fovDeg: z.number().min(1).max(170),
});
const scene = z.strictObject({
  seed: number,
  motion: z.enum(MOTIONS),
  stepDeg: number,
  room,
  objects: z.array(object).max(200),
  centre: z.number().int().nonnegative().exactOptional(),
  cameras: z.array(camera).min(1).max(1000),
});
const sceneFile = z.strictObject({
  format: z.literal('spatialsv-synthetic-scene'),
  rendererVersion: z.literal(RENDERER_VERSION),
  width: size,
  height: size,
  images: z.array(z.string()),
  scene,
});

/** Writes `scene.json` into `folder`. */
export const writeSceneFile = async (
  folder: string,
  content: Omit<SceneFile, 'format' | 'rendererVersion'>,
): Promise<void> => {
  const file: SceneFile = {
    format: 'spatialsv-synthetic-scene',
    rendererVersion: RENDERER_VERSION,
    ...content,
  };
  await writeFile(path.join(folder, SCENE_FILE), `${JSON.stringify(file)}\n`);
};

/**
 * Reads the scene file of a folder of images.
 * @throws SpatialError DATA_INVALID when there is none, or it is damaged or of another renderer version.
 */
export const readSceneFile = async (folder: string): Promise<SceneFile> => {
  const file = path.join(folder, SCENE_FILE);
  const text = await readFile(file, 'utf8').catch((cause: unknown) => {
    throw foreign(file, cause);
  });
  const parsed = sceneFile.safeParse(parseJson(file, text));
  if (parsed.success) return parsed.data;
  const issue = parsed.error.issues[0]!;
  throw damaged(file, `${issue.path.join('.') || 'file'}: ${issue.message}`);
};

const parseJson = (file: string, text: string): unknown => {
  try {
    return parseJsonText(text);
  } catch (cause) {
    throw damaged(file, (cause as Error).message);
  }
};

const foreign = (file: string, cause: unknown): SpatialError =>
  new SpatialError({
    code: 'DATA_INVALID',
    message: `${file}: the scene description of a rendered image was expected beside it, but cannot be read`,
    hint: 'The synthetic source labels only images that it rendered itself (writeDataset). Use another source, for example a 3D foundation model, for your own images.',
    cause,
  });

const damaged = (file: string, detail: string): SpatialError =>
  new SpatialError({
    code: 'DATA_INVALID',
    message: `${file}: not a scene description of renderer version ${RENDERER_VERSION} (${detail})`,
    hint: 'Write the data set again with the installed version of @spatialsv/vfm-synthetic.',
  });
