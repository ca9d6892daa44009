import { checkpointFolder, type MappedTensor, openCheckpoint } from '@spatialsv/core/kit';
import { readVggtConfig, type VggtConfig } from './vggt-config.js';
import { isIgnoredTensor, vggtTensorShapes } from './vggt-names.js';

/** An opened checkpoint folder; every tensor is there, has its shape, and stays in its file. */
export interface VggtWeights {
  readonly folder: string;
  readonly config: VggtConfig;
  /** By published name, without the track head. */
  readonly tensors: Readonly<Record<string, MappedTensor>>;
}

/**
 * Opens a checkpoint.
 * @param location folder with config.json and model.safetensors (or its shards), or the path of that file.
 * @throws SpatialError FILE_MISSING | FILE_INVALID | CONFIG_INVALID; WEIGHT_MISSING, SHAPE_MISMATCH or WEIGHT_UNEXPECTED
 *   naming the tensors that are not as the configuration says.
 */
export async function openVggtWeights(location: string): Promise<VggtWeights> {
  const folder = await checkpointFolder(location);
  const config = await readVggtConfig(folder);
  const { weights } = await openCheckpoint(folder, {
    shapes: vggtTensorShapes(config),
    isUnread: (name) => isIgnoredTensor(name, config),
    refuseUnknown: true,
  });
  return { folder, config, tensors: weights };
}
