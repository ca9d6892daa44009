import { FlowNetwork } from './min-cut.js';

/** Source 0 → values of these capacities → sink, each value between two vertices. */
function chain(capacities: readonly number[]) {
  const network = new FlowNetwork();
  const vertices = Array.from({ length: capacities.length + 1 }, () => network.vertex());
  for (const [i, capacity] of capacities.entries())
    network.edge(vertices[i]!, vertices[i + 1]!, capacity);
  return [...network.sinkSide(vertices[0]!, vertices.at(-1)!)].sort();
}

describe('a smallest cut', () => {
  it('goes through the narrowest place', () => {
    expect(chain([3, 1, 2])).toEqual([2, 3]);
  });

  it('lies nearest to the sink among equal ones', () => {
    expect(chain([2, 3, 2])).toEqual([3]);
  });

  it('cuts what two ways share, where that is less than both', () => {
    const network = new FlowNetwork();
    const [source, shared, left, right, sink] = Array.from({ length: 5 }, () => network.vertex());
    network.edge(source!, shared!, 4);
    for (const [way, capacity] of [[left!, 3] as const, [right!, 3] as const]) {
      network.edge(shared!, way, Number.POSITIVE_INFINITY);
      network.edge(way, sink!, capacity);
    }
    expect([...network.sinkSide(source!, sink!)].sort()).toEqual([shared, left, right, sink]);
  });

  it('takes a flow back where that makes room for another', () => {
    const network = new FlowNetwork();
    const [source, a, b, sink] = Array.from({ length: 4 }, () => network.vertex());
    network.edge(source!, a!, 1);
    network.edge(source!, b!, 1);
    network.edge(a!, b!, 1);
    network.edge(a!, sink!, 1);
    network.edge(b!, sink!, 1);
    expect([...network.sinkSide(source!, sink!)]).toEqual([sink]);
  });
});
