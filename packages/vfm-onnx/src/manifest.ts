import { nearestName } from '@spatialsv/core/kit';
import { SpatialError } from '@spatialsv/core/spec';
import { z } from 'zod';

/** Name of the description beside a graph. */
export const MANIFEST_FILE = 'spatialsv-onnx.json';

/**
 * How images are brought to the size of the network. `pillow-bicubic`: Pillow's antialiased bicubic, as VGGT does.
 * `opencv`: OpenCV's area where nothing grows and cubic otherwise, first to the longest side, then to whole patches, as
 * Depth Anything 3 does.
 */
const RESIZE_METHODS = ['pillow-bicubic', 'opencv'] as const;
export type ResizeMethod = (typeof RESIZE_METHODS)[number];

const size = z.int().positive();

/** `{ "height", "width" }`, or `{ "multipleOf", "longestSide" }`: the image's own shape, rounded to whole patches. */
const sizeSchema = z
  .strictObject({
    height: size.optional(),
    width: size.optional(),
    multipleOf: size.optional(),
    longestSide: size.optional(),
  })
  .refine(
    ({ height, width, multipleOf, longestSide }) => {
      const [fixed, open] = [
        [height, width],
        [multipleOf, longestSide],
      ];
      const isAll = (values: unknown[]) => values.every((value) => value !== undefined);
      const isNone = (values: unknown[]) => values.every((value) => value === undefined);
      return (isAll(fixed!) && isNone(open!)) || (isAll(open!) && isNone(fixed!));
    },
    { message: 'expected height and width, or multipleOf and longestSide' },
  );

const inputSchema = z.strictObject({
  name: z.string().optional(),
  /** 5 for (1, views, 3, H, W), 4 for (views, 3, H, W) or (1, 3, H, W). */
  rank: z.literal([4, 5]).optional(),
  /** `unit`: 0 to 1. `imagenet`: then minus mean, divided by standard deviation of ImageNet. */
  normalisation: z.enum(['unit', 'imagenet']).optional(),
  size: sizeSchema.optional(),
  resize: z.enum(RESIZE_METHODS).optional(),
  /** `stretch` shows the whole image; `centre-crop` keeps its proportions and masks what is cut off. */
  fit: z.enum(['stretch', 'centre-crop']).optional(),
  /** Transparency is left out, or blended over white. */
  alpha: z.enum(['drop', 'white']).optional(),
});

/** An output with its conventions; its name alone is enough where they are the usual ones. */
const output = <Shape extends z.core.$ZodLooseShape>(conventions: Shape) =>
  z.preprocess(
    (value) => (typeof value === 'string' ? { name: value } : value),
    z.strictObject({ name: z.string(), ...conventions }),
  );

const outputsSchema = z.strictObject({
  depth: output({
    /** `z-depth`: along the viewing axis. `ray-length`: from the camera centre. */
    kind: z.enum(['z-depth', 'ray-length']).optional(),
    /** Depth is for a camera of this focal length in pixels: it is multiplied by f / canonicalFocal. */
    canonicalFocal: z.number().positive().optional(),
  }).optional(),
  /** World points; depth is taken from them where the graph gives no depth. */
  points: output({}).optional(),
  depthConfidence: z.union([z.literal(false), z.string()]).optional(),
  /** (…, views, 9): translation, quaternion xyzw, vertical and horizontal field of view. */
  pose: output({ encoding: z.enum(['vggt-w2c', 'da3-c2w']).optional() }).optional(),
  /** (…, views, 3 or 4, 4). */
  extrinsics: output({ direction: z.enum(['w2c', 'c2w']).optional() }).optional(),
  /** (…, views, 3, 3) in pixels of the network's input. */
  intrinsics: z.string().optional(),
  /** Pixels at or above the threshold are sky and carry no label. */
  sky: z.union([z.literal(false), output({ threshold: z.number().default(0.5) })]).optional(),
  /** (…, views, tokens, channels); of several layers the last one counts. */
  features: output({
    /** Pixels of the network's input per token and side. */
    patch: size,
    /** Tokens before those of the patches. */
    specialTokens: z.int().nonnegative().default(0),
  }).optional(),
});

export const manifestSchema = z.strictObject({
  /** Path of the .onnx file, relative to the manifest. */
  graph: z.string().optional(),
  /** Name of the model, for the record. */
  model: z.string().min(1).optional(),
  licence: z.strictObject({ name: z.string().min(1), commercialUse: z.boolean() }).optional(),
  input: inputSchema.optional(),
  /** Views that the graph was traced for, or `any`. */
  views: z.union([size, z.literal('any')]).optional(),
  outputs: outputsSchema.optional(),
  /** Horizontal, of the whole image, for graphs that give no intrinsics. */
  fieldOfViewDegrees: z.number().positive().lt(180).optional(),
  /** Coordinate of the first pixel's centre: ½ or 0. */
  pixelCentre: z.enum(['half', 'integer']).optional(),
  scale: z.enum(['relative', 'metric-metres']).optional(),
});

/** What the user says about a graph; every key is optional. */
export type Manifest = z.output<typeof manifestSchema>;
export type ManifestInput = z.input<typeof manifestSchema>;

/**
 * Checks a description of a graph.
 * @param where file or option that it comes from, for messages.
 * @throws SpatialError CONFIG_INVALID for unknown keys, with the nearest one, and for wrong values.
 */
export function parseManifest(value: unknown, where: string): Manifest {
  const result = manifestSchema.safeParse(value);
  if (result.success) return result.data;
  const told = result.error.issues.flatMap((issue) => explain(issue));
  throw new SpatialError({
    code: 'CONFIG_INVALID',
    message: `${where}: ${told.join('; ')}`,
    hint: 'The README of @spatialsv/vfm-onnx lists every key, with two complete examples.',
    cause: result.error,
  });
}

function explain(issue: z.core.$ZodIssue): string[] {
  const dotted = (path: readonly PropertyKey[]) => path.map(String).join('.');
  if (issue.code === 'invalid_union') {
    const inner = issue.errors.at(-1) ?? [];
    return inner.flatMap((each) => explain({ ...each, path: [...issue.path, ...each.path] }));
  }
  if (issue.code !== 'unrecognized_keys') {
    return [`${dotted(issue.path) || 'the description'}: ${issue.message}`];
  }
  const known = keysBelow(manifestSchema, issue.path);
  return issue.keys.map((key) => {
    const near = nearestName(known, key);
    const help = near === undefined ? `known are ${known.join(', ')}` : `did you mean "${near}"?`;
    return `unknown key "${dotted([...issue.path, key])}", ${help}`;
  });
}

/** Keys that the schema knows at a path. */
function keysBelow(schema: z.core.$ZodType, path: readonly PropertyKey[]): string[] {
  const inner = unwrap(schema);
  if (!(inner instanceof z.ZodObject)) return [];
  const [step, ...rest] = path;
  if (step === undefined) return Object.keys(inner.shape);
  return keysBelow(inner.shape[step as string] as z.core.$ZodType, rest);
}

function unwrap(schema: z.core.$ZodType): z.core.$ZodType {
  if (schema instanceof z.ZodOptional) return unwrap(schema.unwrap());
  if (schema instanceof z.ZodPipe) return unwrap(schema.out);
  if (schema instanceof z.ZodUnion) return unwrap(schema.options.at(-1)!);
  return schema;
}

/** `over` counts before `under`, key by key, also inside `input` and `outputs`. */
export const mergeManifests = (under: Manifest, over: Manifest): Manifest => ({
  ...under,
  ...over,
  ...(under.input || over.input ? { input: { ...under.input, ...over.input } } : {}),
  ...(under.outputs || over.outputs ? { outputs: { ...under.outputs, ...over.outputs } } : {}),
});
