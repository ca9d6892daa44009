import path from 'node:path';
import { describeProblem } from '@spatialsv/core/kit';
import {
  GEOMETRY_FIELDS,
  type GeometryLabelsV1,
  type LabellerV1,
  type LabelRequestV1,
  type OpenSourceOptions,
  SpatialError,
} from '@spatialsv/core/spec';
import { z } from 'zod';
import { SOURCE_ID } from './identity.js';
import { renderLabels } from './labels.js';
import type { SceneCamera } from './scene.js';
import { RENDERER_VERSION, readSceneFile, SCENE_FILE, type SceneFile } from './scene-file.js';

export interface SyntheticSourceOptions {
  /** Size of the labels where the request names none; the image's size where both are absent. */
  readonly height?: number;
  readonly width?: number;
  /** Cells of the feature map, or `false` for none; one cell per 14 × 14 pixels of the image where absent. */
  readonly featureGrid?: { readonly h: number; readonly w: number } | false;
}

/** Pixels of the image per feature cell and side, the patch size of the usual 3D foundation models. */
const FEATURE_STRIDE = 14;

const settingsSchema = z.strictObject({
  height: z.int().positive().optional(),
  width: z.int().positive().optional(),
  featureGrid: z
    .union([z.literal(false), z.strictObject({ h: z.int().positive(), w: z.int().positive() })])
    .optional(),
});

/** Opens the source of labels that `syntheticSource` contributes. */
export const openSyntheticSource = async ({
  settings = {},
}: OpenSourceOptions = {}): Promise<LabellerV1> => createSyntheticSource(parseSettings(settings));

const parseSettings = (settings: unknown): SyntheticSourceOptions => {
  const parsed = settingsSchema.safeParse(settings);
  if (parsed.success) return parsed.data as SyntheticSourceOptions;
  throw new SpatialError({
    code: 'CONFIG_INVALID',
    message: `settings of the source synthetic: ${describeProblem(parsed.error)}`,
    hint: 'It takes height, width and featureGrid: { h, w } or false.',
  });
};

/**
 * Exact labels of rendered rooms: finds the scene description beside the images and renders depth, cameras and
 * features again, at any size. All images of a request come from one scene; the first one is the world frame.
 * The fields `ray-map` and `point-map` follow from depth and cameras by the conventions of the labels.
 */
export const createSyntheticSource = (options: SyntheticSourceOptions = {}): LabellerV1 => ({
  sourceId: SOURCE_ID,
  provides: GEOMETRY_FIELDS.filter((field) => field !== 'feature' || options.featureGrid !== false),
  provenance: {
    source: SOURCE_ID,
    model: `renderer-${RENDERER_VERSION}`,
    settings: { ...options },
    licence: { name: 'Apache-2.0', commercialUse: true },
  },
  doLabel: (request) => labelViewSet(request, options),
  dispose: async () => undefined,
});

const labelViewSet = async (
  request: LabelRequestV1,
  options: SyntheticSourceOptions,
): Promise<GeometryLabelsV1> => {
  request.signal?.throwIfAborted();
  const folder = commonFolder(request.images);
  const file = await readSceneFile(folder);
  request.signal?.throwIfAborted();
  const { width, height } = file;
  const grid = options.featureGrid ?? {
    h: Math.ceil(height / FEATURE_STRIDE),
    w: Math.ceil(width / FEATURE_STRIDE),
  };
  return renderLabels(file.scene, {
    cameras: request.images.map((image) => cameraOf(file, folder, image)),
    height: request.height ?? options.height ?? height,
    width: request.width ?? options.width ?? width,
    imageSize: { width, height },
    ...(grid ? { featureGrid: grid } : {}),
  });
};

const commonFolder = (images: readonly string[]): string => {
  const folders = new Set(images.map((image) => path.dirname(path.resolve(image))));
  const [folder] = folders;
  if (folder !== undefined && folders.size === 1) return folder;
  throw new SpatialError({
    code: 'DATA_INVALID',
    message: `synthetic labels: expected images of one scene, found ${images.length} images from ${folders.size} folders`,
    hint: 'Label the views of one scene at a time; each scene has a folder of its own.',
  });
};

const cameraOf = (file: SceneFile, folder: string, image: string): SceneCamera => {
  const camera = file.scene.cameras[file.images.indexOf(path.basename(image))];
  if (camera !== undefined) return camera;
  throw new SpatialError({
    code: 'DATA_INVALID',
    message: `${image}: not among the images of ${path.join(folder, SCENE_FILE)} (${file.images.join(', ')})`,
    hint: 'Only images that were rendered with this scene have labels; pass the files under their own names.',
  });
};
