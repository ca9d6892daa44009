import { type MappedTensor, openSafetensors, type SafetensorsReader } from '@spatialsv/core';

/** Reads mapped weights into memory as float32, by name; each file is opened once. */
export async function* readMappedValues(
  weights: Readonly<Record<string, MappedTensor>>,
): AsyncGenerator<readonly [name: string, data: Float32Array]> {
  const files = new Map<string, { reader: SafetensorsReader; names: Map<number, string> }>();
  for (const [name, tensor] of Object.entries(weights)) {
    const opened = files.get(tensor.file) ?? (await openFile(tensor.file));
    files.set(tensor.file, opened);
    yield [name, await opened.reader.readFloat32(opened.names.get(tensor.byteOffset)!)];
  }
}

/** A file's reader and its tensor names by byte offset: a published name need not be the one in the file. */
async function openFile(file: string) {
  const reader = await openSafetensors(file);
  const names = [...reader.tensors.values()].map(
    ({ name, byteOffset }) => [byteOffset, name] as const,
  );
  return { reader, names: new Map(names) };
}
