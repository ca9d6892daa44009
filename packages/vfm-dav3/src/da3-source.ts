import {
  defaultPrecision,
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
  type RgbImage,
  SpatialError,
} from '@spatialsv/core/spec';
import { z } from 'zod';
import { PATCH } from './da3-config.js';
import {
  assumedIntrinsics,
  da3Labels,
  decoderCameras,
  type LabelCameras,
  rayCameras,
} from './da3-labels.js';
import { metricDepth } from './da3-metric.js';
import { type Da3Model, openDa3 } from './da3-model.js';
import type { Da3Prediction } from './da3-prediction.js';
import {
  inputIntrinsics,
  PREPROCESS_METHODS,
  type PreparedViews,
  type PreprocessMethod,
  prepareViews,
} from './da3-preprocess.js';
import { REFERENCE_VIEWS, type ReferenceView } from './da3-reference-view.js';
import { SOURCE_ID } from './identity.js';

/** Settings of the source `dav3`, as a user writes them. */
export interface Da3Settings {
  /** Pixels of the bound side of the network's input; 504 unless given. */
  readonly resolution?: number;
  /** `upper_bound_resize` unless given. */
  readonly method?: PreprocessMethod;
  /** `saddle_balanced` unless given. */
  readonly referenceView?: ReferenceView;
  /** Where cameras come from: the camera decoder, unless given, or the ray maps. */
  readonly cameras?: 'decoder' | 'rays';
  /** Features for distillation: tokens of the last tap, unless given, their normalised half, or none. */
  readonly features?: 'last-tap' | 'norm' | false;
  /** Horizontal field of view of every image; the mono and metric variants need it, the others find their own. */
  readonly fieldOfViewDeg?: number;
  /** Licence of the weights; that of the released variant unless given. */
  readonly licence?: { readonly name: string; readonly commercialUse: boolean };
}

const settingsSchema = z.strictObject({
  resolution: z.int().min(PATCH).default(504),
  method: z.enum(PREPROCESS_METHODS).default('upper_bound_resize'),
  referenceView: z.enum(REFERENCE_VIEWS).default('saddle_balanced'),
  cameras: z.enum(['decoder', 'rays']).default('decoder'),
  features: z.union([z.enum(['last-tap', 'norm']), z.literal(false)]).default('last-tap'),
  fieldOfViewDeg: z.number().gt(0).lt(180).optional(),
  licence: licenceSchema.optional(),
});

type ParsedSettings = z.output<typeof settingsSchema>;

const CONTENT = 'config.json and model.safetensors of a Depth Anything 3, for example DA3-SMALL';
/** Opens a Depth Anything 3 as the source of labels that `da3Source` contributes. */
export async function openDa3Source({
  weights,
  device = 'cpu',
  precision = defaultPrecision(device),
  settings,
}: OpenSourceOptions = {}): Promise<LabellerV1> {
  const parsed = parseSourceSettings(SOURCE_ID, settingsSchema, settings);
  const model = await openDa3(requireWeights(SOURCE_ID, weights, CONTENT), device, precision);
  requireFitting(parsed, model);
  return {
    sourceId: SOURCE_ID,
    provides: GEOMETRY_FIELDS.filter((field) => field !== 'feature' || parsed.features !== false),
    provenance: provenance(parsed, precision, model, await model.hashWeights()),
    doLabel: (request) => labelViewSet(model, parsed, request),
    dispose: () => model.dispose(),
  };
}

const misfit = (problem: string) => invalidSettings(SOURCE_ID, settingsSchema, problem);

const seesOneImage = ({ config }: Da3Model): boolean => config.anyView === undefined;

const requireFitting = ({ fieldOfViewDeg, cameras }: ParsedSettings, model: Da3Model): void => {
  const { modelName } = model.config;
  if (!seesOneImage(model)) {
    if (fieldOfViewDeg === undefined) return;
    throw misfit(`fieldOfViewDeg: ${modelName} finds fields of view by itself`);
  }
  if (fieldOfViewDeg === undefined)
    throw misfit(
      `fieldOfViewDeg: ${modelName} finds no camera, expected the horizontal field of view of the images in degrees`,
    );
  if (cameras === 'rays') throw misfit(`cameras: ${modelName} gives no rays`);
};

/** Settings that change no value (the licence) stay out of `settings`, which is part of the key of a label store. */
const provenance = (
  { licence, ...settings }: ParsedSettings,
  precision: Precision,
  { config }: Da3Model,
  weightsSha256: string,
): LabelProvenanceV1 => ({
  source: SOURCE_ID,
  model: config.modelName,
  settings: { ...JSON.parse(JSON.stringify(settings)), ...settingOfPrecision(precision) },
  weightsSha256,
  licence: licence ?? config.licence,
});

const labelViewSet = async (
  model: Da3Model,
  settings: ParsedSettings,
  { images, height, width, signal }: LabelRequestV1,
): Promise<GeometryLabelsV1> => {
  signal?.throwIfAborted();
  if (seesOneImage(model) && images.length > 1) throw severalImages(model, images.length);
  const decoded = await Promise.all(images.map((file) => readImage(file)));
  const views = prepareViews(decoded, settings);
  const { referenceView, features, cameras } = settings;
  const prediction = await model.predict(views, {
    referenceView,
    features,
    rays: cameras === 'rays',
    ...(signal ? { signal } : {}),
  });
  const size = {
    ...(height === undefined ? {} : { height }),
    ...(width === undefined ? {} : { width }),
  };
  return toLabels(model, settings, { decoded, views, prediction }, size);
};

const severalImages = ({ config }: Da3Model, count: number): SpatialError =>
  new SpatialError({
    code: 'DATA_INVALID',
    message: `${config.modelName} finds no cameras between images: expected 1 image, found ${count}`,
    hint: 'Label several views with da3-small, -base, -large, -giant or the nested variant.',
  });

interface Run {
  readonly decoded: readonly RgbImage[];
  readonly views: PreparedViews;
  readonly prediction: Da3Prediction;
}

const toLabels = (
  model: Da3Model,
  settings: ParsedSettings,
  { decoded, views, prediction }: Run,
  size: { readonly height?: number; readonly width?: number },
): GeometryLabelsV1 => {
  const { kind } = model.config;
  const scale = kind === 'metric' || kind === 'nested' ? 'metric-metres' : 'relative';
  if (!seesOneImage(model)) {
    const find = settings.cameras === 'rays' ? rayCameras : decoderCameras;
    return da3Labels(prediction, views, { cameras: find(prediction), scale, ...size });
  }
  const cameras = assumedCameras(decoded[0]!, views, settings.fieldOfViewDeg!);
  const depth =
    kind === 'metric' ? metricDepth(prediction.depth, cameras.intrinsics) : prediction.depth;
  return da3Labels({ ...prediction, depth }, views, { cameras, scale, ...size });
};

const assumedCameras = (
  image: RgbImage,
  { windows }: PreparedViews,
  fieldOfViewDeg: number,
): LabelCameras => {
  const intrinsics = assumedIntrinsics(image, fieldOfViewDeg);
  return {
    extrinsics: Float32Array.of(1, 0, 0, 0, 0, 1, 0, 0, 0, 0, 1, 0),
    intrinsics: Float32Array.from(inputIntrinsics(intrinsics, windows[0]!, image)),
  };
};
