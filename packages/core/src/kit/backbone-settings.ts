/** Options of opening a backbone that a family may have or not. */

import type { z } from 'zod';
import { z as schemas } from 'zod';
import { SpatialError } from '../errors.js';
import { describeProblem } from '../issues.js';
import type { OpenBackboneOptions } from '../spec.js';

/**
 * An adapter's own settings, as a user writes them.
 * @param family id of the adapter. @param schema strict object with a default for every setting.
 * @throws SpatialError CONFIG_INVALID for an unknown setting or a wrong value, naming the settings that there are.
 */
export function parseBackboneSettings<Schema extends z.ZodObject>(
  family: string,
  schema: Schema,
  { settings }: Pick<OpenBackboneOptions, 'settings'>,
): z.output<Schema> {
  const parsed = schema.safeParse(settings ?? {});
  if (parsed.success) return parsed.data;
  const known = Object.keys(schema.shape);
  throw new SpatialError({
    code: 'CONFIG_INVALID',
    message: `settings of the backbone ${family}: ${describeProblem(parsed.error)}`,
    hint:
      known.length > 0 ? `It takes ${known.join(', ')}.` : 'It takes no settings: leave them out.',
  });
}

/** For families without settings. @throws SpatialError CONFIG_INVALID for any setting. */
export function refuseSettings(
  family: string,
  options: Pick<OpenBackboneOptions, 'settings'>,
): void {
  parseBackboneSettings(family, schemas.strictObject({}), options);
}

/**
 * For families whose views have one size.
 * @param instead what sets the size of a view, for the hint.
 * @throws SpatialError CONFIG_INVALID where a budget of pixels is given.
 */
export function refusePixelBudget(
  family: string,
  { minPixels, maxPixels }: OpenBackboneOptions,
  instead: string,
): void {
  const given = Object.entries({ minPixels, maxPixels }).find(([, value]) => value !== undefined);
  if (given === undefined) return;
  throw new SpatialError({
    code: 'CONFIG_INVALID',
    message: `${given[0]} ${given[1]}: expected none, the views of the backbone ${family} have one size`,
    hint: `Leave it out. ${instead}`,
  });
}
