/** `model_type` in config.json of every checkpoint of LLaVA-OneVision-1.5. */
export const MODEL_TYPE = 'llavaonevision1_5';

/** What commands, configurations and results call the family. */
export const ADAPTER_ID = 'llava-onevision-1.5';
