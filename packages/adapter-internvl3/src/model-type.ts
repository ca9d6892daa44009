/** Who wrote a checkpoint: the models' own code, which comes with the published folders, or `transformers`. */
export type CheckpointLayout = 'original' | 'native';

/** `model_type` in config.json of each layout. */
export const MODEL_TYPES: Readonly<Record<CheckpointLayout, string>> = {
  original: 'internvl_chat',
  native: 'internvl',
};

/** The layout that a config.json names; absent for other families. */
export const layoutOf = (config: Readonly<Record<string, unknown>>): CheckpointLayout | undefined =>
  (['original', 'native'] as const).find((layout) => config['model_type'] === MODEL_TYPES[layout]);

/** What commands, configurations and results call the family. */
export const ADAPTER_ID = 'internvl3';
