export const MODEL_TYPE = 'llava_qwen';
export const ARCHITECTURE = 'LlavaQwenForCausalLM';

/** Whether a config.json is one of the original code with a SigLIP tower. */
export const isNextVideoSiglip = (config: Readonly<Record<string, unknown>>): boolean => {
  const { model_type: type, architectures, mm_vision_tower: tower } = config;
  const isQwen =
    type === MODEL_TYPE || (Array.isArray(architectures) && architectures.includes(ARCHITECTURE));
  return isQwen && (typeof tower !== 'string' || tower.includes('siglip'));
};

/** What commands, configurations and results call the family. */
export const ADAPTER_ID = 'llava-next-video-siglip';
