import { z } from 'zod';
import { NEWLINES, POOL_MODES } from './config.js';

/** Settings of an opened checkpoint, and of a tiny one. What is absent is what config.json says. */
export const settingsSchema = z.strictObject({
  /** How a frame's grid is made smaller (`mm_spatial_pool_mode`). */
  pool: z.enum(POOL_MODES).optional(),
  /** Where newlines stand (`mm_newline_position`). */
  newline: z.enum(NEWLINES).optional(),
});
