/** `model_type` in config.json of every checkpoint of the family. */
export const MODEL_TYPE = 'qwen2_5_vl';

/** What commands, configurations and results call the family. */
export const ADAPTER_ID = 'qwen2.5-vl';
