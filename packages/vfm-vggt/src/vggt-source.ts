import {
  defaultPrecision,
  hashWeights,
  invalidSettings,
  licenceSchema,
  type Precision,
  parseSourceSettings,
  readImage,
  requireWeights,
  settingOfPrecision,
} from '@spatialsv/core/kit';
import {
  GEOMETRY_FIELDS,
  type GeometryLabelsV1,
  type LabellerV1,
  type LabelProvenanceV1,
  type LabelRequestV1,
  type OpenSourceOptions,
} from '@spatialsv/core/spec';
import { z } from 'zod';
import { SOURCE_ID } from './identity.js';
import { RELEASED_VGGT, type VggtConfig } from './vggt-config.js';
import { vggtLabels } from './vggt-labels.js';
import { VggtModel } from './vggt-model.js';
import { prepareImages } from './vggt-preprocess.js';
import { openVggtWeights } from './vggt-weights.js';

/** Settings of the source `vggt`, as a user writes them. */
export interface VggtSettings {
  /** `crop` unless given: what becomes of images that are not wide, see {@link prepareImages}. */
  readonly mode?: 'crop' | 'pad';
  /** Side of the network's input in pixels, a multiple of the patch; the side that the model was trained at unless given. */
  readonly resolution?: number;
  /** Whether labels carry features for distillation; `true` unless given. */
  readonly features?: boolean;
  /** Takes depth from the point head instead of the depth head; `false` unless given. */
  readonly pointHead?: boolean;
  /** Licence of the weights; CC-BY-NC-4.0, without commercial use, unless given. */
  readonly licence?: { readonly name: string; readonly commercialUse: boolean };
}

const settingsSchema = z.strictObject({
  mode: z.enum(['crop', 'pad']).default('crop'),
  resolution: z.int().positive().optional(),
  features: z.boolean().default(true),
  pointHead: z.boolean().default(false),
  licence: licenceSchema.default({ name: 'CC-BY-NC-4.0', commercialUse: false }),
});

type ParsedSettings = z.output<typeof settingsSchema>;

/** Opens VGGT as the source of labels that `vggtSource` contributes. */
export async function openVggt({
  weights,
  device = 'cpu',
  precision = defaultPrecision(device),
  settings,
}: OpenSourceOptions = {}): Promise<LabellerV1> {
  const parsed = parseSourceSettings(SOURCE_ID, settingsSchema, settings);
  const folder = requireWeights(SOURCE_ID, weights, 'model.safetensors and config.json of VGGT-1B');
  const opened = await openVggtWeights(folder);
  const { config } = opened;
  requireFitting(parsed, config);
  const options = { ...parsed, resolution: parsed.resolution ?? config.imageSize };
  const model = new VggtModel(opened, device, precision);
  return {
    sourceId: SOURCE_ID,
    provides: GEOMETRY_FIELDS.filter((field) => field !== 'feature' || options.features),
    provenance: provenance(options, precision, config, await hashWeights(opened.tensors)),
    doLabel: (request) => labelViewSet(model, options, request),
    dispose: () => model.dispose(),
  };
}

const misfit = (problem: string) => invalidSettings(SOURCE_ID, settingsSchema, problem);

function requireFitting({ resolution, pointHead }: ParsedSettings, config: VggtConfig): void {
  if (resolution !== undefined && resolution % config.patchSize !== 0)
    throw misfit(`resolution: expected a multiple of ${config.patchSize}, found ${resolution}`);
  if (pointHead && !config.pointHead) throw misfit('pointHead: the weights have no point head');
}

/** Settings that change no value (the licence) stay out of `settings`, which is part of the key of a label store. */
const provenance = (
  { mode, resolution, features, pointHead, licence }: ParsedSettings,
  precision: Precision,
  config: VggtConfig,
  weightsSha256: string,
): LabelProvenanceV1 => ({
  source: SOURCE_ID,
  model: modelName(config),
  settings: { mode, resolution, features, pointHead, ...settingOfPrecision(precision) },
  weightsSha256,
  licence,
});

const modelName = (config: VggtConfig): string =>
  JSON.stringify(config) === JSON.stringify(RELEASED_VGGT)
    ? 'vggt-1b'
    : `vggt-${config.width}x${config.aggregator.depth}`;

async function labelViewSet(
  model: VggtModel,
  { mode, resolution, features, pointHead }: ParsedSettings & { readonly resolution: number },
  { images, height, width, signal }: LabelRequestV1,
): Promise<GeometryLabelsV1> {
  signal?.throwIfAborted();
  const decoded = await Promise.all(images.map((file) => readImage(file, { alpha: 'white' })));
  const { patchSize } = model.config;
  const prepared = prepareImages(decoded, { mode, resolution, patchSize });
  const prediction = await model.predict(prepared, {
    heads: [pointHead ? 'point' : 'depth'],
    features,
    ...(signal ? { signal } : {}),
  });
  return vggtLabels(prediction, prepared, {
    ...(height === undefined ? {} : { height }),
    ...(width === undefined ? {} : { width }),
  });
}
