/** `model_type` in config.json of every checkpoint of the family. */
export const MODEL_TYPE = 'llava_next_video';

/** What commands, configurations and results call the family. */
export const ADAPTER_ID = 'llava-next-video';
