import { type MappedTensor, openSafetensors, type SafetensorsReader } from '@spatialsv/core';

/** Writes the value of a mapped weight, as float32, into memory of its size. */
export type MappedReader = (tensor: MappedTensor, target: Float32Array) => Promise<void>;

/** Reads mapped weights; each file is opened once. */
export function mappedReader(): MappedReader {
  const files = new Map<string, ReturnType<typeof openFile>>();
  return async (tensor, target) => {
    const opened = files.get(tensor.file) ?? openFile(tensor.file);
    files.set(tensor.file, opened);
    const { reader, names } = await opened;
    await reader.readFloat32Into(names.get(tensor.byteOffset)!, target);
  };
}

/** A file's reader and its tensor names by byte offset: a published name need not be the one in the file. */
async function openFile(
  file: string,
): Promise<{ readonly reader: SafetensorsReader; readonly names: ReadonlyMap<number, string> }> {
  const reader = await openSafetensors(file);
  const names = [...reader.tensors.values()].map(
    ({ name, byteOffset }) => [byteOffset, name] as const,
  );
  return { reader, names: new Map(names) };
}
