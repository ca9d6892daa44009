/** A directed edge of a network; its reverse is the edge at the number with the lowest bit changed. */
interface Edge {
  readonly to: number;
  capacity: number;
}

/** A network whose smallest cut between two of its vertices is wanted. */
export class FlowNetwork {
  readonly #edges: Edge[] = [];
  readonly #leaving: number[][] = [];

  /** @returns the number of a new vertex. */
  vertex(): number {
    return this.#leaving.push([]) - 1;
  }

  edge(from: number, to: number, capacity: number): void {
    this.#leaving[from]!.push(this.#edges.push({ to, capacity }) - 1);
    this.#leaving[to]!.push(this.#edges.push({ to: from, capacity: 0 }) - 1);
  }

  /**
   * Saturates the network from `source` to `sink`.
   * @returns the vertices on the side of the sink, of all smallest cuts in the one that lies nearest to it.
   * Source: Edmonds and Karp, 1972.
   */
  sinkSide(source: number, sink: number): ReadonlySet<number> {
    for (let path = this.#path(source, sink); path !== undefined; path = this.#path(source, sink)) {
      const most = Math.min(...path.map((edge) => this.#edges[edge]!.capacity));
      for (const edge of path) {
        this.#edges[edge]!.capacity -= most;
        this.#edges[edge ^ 1]!.capacity += most;
      }
    }
    return this.#reaching(sink);
  }

  /** Edges of a shortest path with capacity left. */
  #path(source: number, sink: number): number[] | undefined {
    const cameBy = new Map<number, number>([[source, -1]]);
    const queue = [source];
    for (let i = 0; i < queue.length && !cameBy.has(sink); i++) {
      for (const edge of this.#leaving[queue[i]!]!) {
        const { to, capacity } = this.#edges[edge]!;
        if (capacity <= 0 || cameBy.has(to)) continue;
        cameBy.set(to, edge);
        queue.push(to);
      }
    }
    if (!cameBy.has(sink)) return undefined;
    const path: number[] = [];
    for (let at = sink; at !== source; at = this.#edges[path.at(-1)! ^ 1]!.to)
      path.push(cameBy.get(at)!);
    return path;
  }

  /** Vertices from which the sink can still be reached. */
  #reaching(sink: number): Set<number> {
    const found = new Set([sink]);
    const open = [sink];
    for (let at = open.pop(); at !== undefined; at = open.pop()) {
      for (const edge of this.#leaving[at]!) {
        const from = this.#edges[edge]!.to;
        if (found.has(from) || this.#edges[edge ^ 1]!.capacity <= 0) continue;
        found.add(from);
        open.push(from);
      }
    }
    return found;
  }
}
