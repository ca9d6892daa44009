import { createTensor, type DeviceTensor, float32 } from '@spatialsv/engine';
import { compileGrownRows, type LayerProgramContext } from './layer-programs.js';

/**
 * Keys and values of every layer on the device, (kvHeads, capacity, hd) each. Who decodes says which slots its sequences take;
 * the last slot takes what pads a program and belongs to nobody.
 */
export interface DecoderCache {
  readonly capacity: number;
  readonly layers: readonly CachedLayer[];
  dispose(): void;
}

// An interface would be no tree of tensors.
type CachedLayer = { readonly keys: DeviceTensor; readonly values: DeviceTensor };

/** An empty cache, which belongs to the caller. */
export function createCache(
  { sizes, device }: LayerProgramContext,
  capacity: number,
): DecoderCache {
  const spec = float32(sizes.kvHeads, capacity, sizes.headDim);
  const layers = Array.from({ length: sizes.layers }, () => ({
    keys: createTensor(spec, undefined, device),
    values: createTensor(spec, undefined, device),
  }));
  return cacheOf(capacity, layers);
}

/**
 * A larger cache with the same content slot by slot, but for the spare one, copied on the device; the smaller one is disposed,
 * layer by layer.
 */
export async function growCache(
  context: LayerProgramContext,
  cache: DecoderCache,
  capacity: number,
): Promise<DecoderCache> {
  const program = await compileGrownRows(context, { from: cache.capacity, to: capacity });
  const made: DeviceTensor[] = [];
  const grow = async (rows: DeviceTensor): Promise<DeviceTensor> => {
    const { grown } = await program.run({ rows });
    made.push(grown);
    rows.dispose();
    return grown;
  };
  try {
    const layers: CachedLayer[] = [];
    for (const { keys, values } of cache.layers)
      layers.push({ keys: await grow(keys), values: await grow(values) });
    return cacheOf(capacity, layers);
  } catch (error) {
    // Half of either cache is of no use to anybody.
    for (const tensor of made) tensor.dispose();
    cache.dispose();
    throw error;
  } finally {
    await program.dispose();
  }
}

const cacheOf = (capacity: number, layers: readonly CachedLayer[]): DecoderCache => ({
  capacity,
  layers,
  dispose: () => {
    for (const { keys, values } of layers) {
      keys.dispose();
      values.dispose();
    }
  },
});
