/** `model_type` in config.json of every checkpoint of the family. */
export const MODEL_TYPE = 'llava_next_video';
