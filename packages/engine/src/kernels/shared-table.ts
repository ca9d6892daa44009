import type { Graph, Value } from '../graph/graph.js';

const tables = new WeakMap<Graph, Map<string, Value>>();

/** Index tables are large and many layers of a model share their geometry. */
export function sharedTable(graph: Graph, key: string, make: () => Int32Array): Value {
  const known = tables.get(graph) ?? new Map<string, Value>();
  tables.set(graph, known);
  const found = known.get(key);
  if (found !== undefined) return found;
  const data = make();
  const table = graph.constant(data, [data.length], 'int32');
  known.set(key, table);
  return table;
}
