import koffi from 'koffi';
import protobuf from 'protobufjs';
import { FileMapping } from '../executor/file-mapping.js';

const many = (id: number, type: string) => ({ id, type, rule: 'repeated' });

/** The part of onnx.proto3 in which external data can be named. All other fields, weights among them, are skipped. */
const descriptor = {
  nested: {
    Model: { fields: { graph: { id: 7, type: 'Graph' }, functions: many(25, 'Function') } },
    Graph: {
      fields: { node: many(1, 'Node'), initializer: many(5, 'Tensor'), sparse: many(15, 'Sparse') },
    },
    Function: { fields: { node: many(7, 'Node') } },
    Node: { fields: { attribute: many(5, 'Attribute') } },
    Attribute: {
      fields: {
        tensor: { id: 5, type: 'Tensor' },
        graph: { id: 6, type: 'Graph' },
        tensors: many(10, 'Tensor'),
        graphs: many(11, 'Graph'),
        sparse: { id: 22, type: 'Sparse' },
        sparses: many(23, 'Sparse'),
      },
    },
    Sparse: { fields: { values: { id: 1, type: 'Tensor' }, indices: { id: 2, type: 'Tensor' } } },
    Tensor: { fields: { externalData: many(13, 'Entry') } },
    Entry: { fields: { key: { id: 1, type: 'string' }, value: { id: 2, type: 'string' } } },
  },
};

const modelType = protobuf.Root.fromJSON(descriptor).lookupType('Model');

/**
 * Names of the files beside a model that hold its weights, as the model writes them, each once and sorted.
 * @throws Error when the file is no protobuf message, or ends too early.
 */
export function externalLocations(file: string): string[] {
  const mapping = new FileMapping(file);
  try {
    const locations = new Set<string>();
    collect(modelType.decode(bytesOf(mapping)), locations);
    return [...locations].sort();
  } finally {
    mapping.close();
  }
}

/** The whole file in place: a model of gigabytes is skipped through, not read. */
function bytesOf(mapping: FileMapping): Uint8Array {
  const bytes = mapping.bytes({ byteOffset: 0, byteLength: mapping.size }, 1);
  return bytes instanceof Uint8Array ? bytes : new Uint8Array(koffi.view(bytes, mapping.size));
}

/** Entries lie at any depth: in initializers, attributes, the graphs of attributes, functions. */
function collect(message: object, locations: Set<string>): void {
  const { key, value } = message as { key?: unknown; value?: unknown };
  if (key === 'location' && typeof value === 'string') locations.add(value);
  for (const child of Object.values(message).flat()) {
    if (typeof child === 'object' && child !== null) collect(child, locations);
  }
}
