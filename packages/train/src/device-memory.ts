import { arenaMemory, availableMemory, gpuMemory } from '@spatialsv/engine';

const MIB = 2 ** 20;

/** Number of an NVIDIA GPU; undefined for a device that works in the memory of the machine. */
export function gpuOf(device: string): number | undefined {
  const [isGpu, number = '0'] = /^cuda(?::(\d+))?$/.exec(device) ?? [];
  return isGpu === undefined ? undefined : Number(number);
}

/** Bytes that are free where a device keeps its tensors. @throws EngineError DEVICE_UNAVAILABLE. */
export function freeBytesOf(device: string): number {
  const gpu = gpuOf(device);
  if (gpu === undefined) return availableMemory();
  const { totalBytes, usedBytes } = gpuMemory(gpu);
  return totalBytes - usedBytes;
}

/**
 * The most that this process took so far of the memory of a device, MiB: of a GPU what its tensors and programs work in, else resident
 * memory. @throws EngineError DEVICE_UNAVAILABLE.
 */
export async function peakMemoryMb(device: string): Promise<number> {
  const gpu = gpuOf(device);
  if (gpu === undefined) return process.resourceUsage().maxRSS / 1024;
  const { peakBytes, heldBytes } = await arenaMemory(gpu);
  return Math.max(peakBytes, heldBytes) / MIB;
}
