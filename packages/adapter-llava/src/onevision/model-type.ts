/** `model_type` in config.json of every checkpoint of LLaVA-OneVision in the layout of transformers. */
export const MODEL_TYPE = 'llava_onevision';

/** What commands, configurations and results call the family. */
export const ADAPTER_ID = 'llava-onevision';
