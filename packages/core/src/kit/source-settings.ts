/** What every label source does before it opens its weights. */

import type { Precision } from '@spatialsv/engine';
import { z } from 'zod';
import { SpatialError } from '../errors.js';
import { describeProblem } from '../issues.js';

/** Settings of every source: under which licence the weights are used. */
export const licenceSchema = z.strictObject({
  name: z.string().min(1),
  commercialUse: z.boolean(),
});

/**
 * Settings as a user writes them.
 * @param source its id. @throws SpatialError CONFIG_INVALID, naming the settings that there are.
 */
export function parseSourceSettings<Schema extends z.ZodObject>(
  source: string,
  schema: Schema,
  settings: unknown,
): z.output<Schema> {
  const parsed = schema.safeParse(settings ?? {});
  if (parsed.success) return parsed.data;
  throw invalidSettings(source, schema, describeProblem(parsed.error));
}

/** Error about settings that do not fit. */
export const invalidSettings = (
  source: string,
  { shape }: z.ZodObject,
  problem: string,
): SpatialError =>
  new SpatialError({
    code: 'CONFIG_INVALID',
    message: `settings of the source ${source}: ${problem}`,
    hint: `It takes ${Object.keys(shape).join(', ')}.`,
  });

/** @param what the folder has to hold, for the hint. @throws SpatialError USAGE when no folder was named. */
export function requireWeights(source: string, weights: string | undefined, what: string): string {
  if (weights !== undefined) return weights;
  throw new SpatialError({
    code: 'USAGE',
    message: `the source ${source} needs weights, found none`,
    hint: `Name the folder that holds ${what}.`,
  });
}

/**
 * What a precision adds to the settings in the provenance of labels, which are part of the key of a label store: labels that were
 * made in float32 keep theirs.
 */
export const settingOfPrecision = (precision: Precision): { readonly precision?: Precision } =>
  precision === 'float32' ? {} : { precision };
