import { parseBackboneSettings, refusePixelBudget } from '@spatialsv/core/kit';
import type { OpenBackboneOptions } from '@spatialsv/core/spec';
import { z } from 'zod';

/** Tiles that a view may have at most; more than the model has ever seen. */
const MOST_TILES = 64;

const schema = z.strictObject({
  /** Tiles of a view at most. Where absent, one when several views are shown together, else what the checkpoint says. */
  maxTiles: z.int().min(1).max(MOST_TILES).optional(),
  /** Which rows are the feature grid of a view with a thumbnail: its tiles side by side, or the thumbnail. */
  grid: z.enum(['tiles', 'thumbnail']).default('tiles'),
  /** Whether `Image-1: ` stands before the first of several views; the habit of the checkpoint's layout where absent. */
  numberImages: z.boolean().optional(),
});

export type InternVl3Settings = z.output<typeof schema>;

/** @throws SpatialError CONFIG_INVALID for an unknown setting, a wrong value, or a budget of pixels. */
export function readSettings(family: string, options: OpenBackboneOptions): InternVl3Settings {
  refusePixelBudget(
    family,
    options,
    'The setting maxTiles says how many tiles a view has at most.',
  );
  return parseBackboneSettings(family, schema, options);
}
