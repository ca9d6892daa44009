import {
  type DecoderSite,
  type SpatialCheckpoint,
  siteOfLayer,
  type ViewGridV1,
} from '@spatialsv/core';
import { type DeviceTensor, type ProgramCache, takeValues } from '@spatialsv/engine';
import { compileHeads, type HeadsShape, type ProgramContext } from './runner-programs.js';

/** Maps of V views at one size; those of tasks that the heads have. Scale and frame are those of the training labels. */
export interface GeometryMaps {
  readonly views: number;
  readonly height: number;
  readonly width: number;
  /** (V, H, W) z-depth. */
  readonly depth?: Float32Array;
  /** (V, H, W) > 1, likewise the other confidences. */
  readonly depthConfidence?: Float32Array;
  /** (V, H, W, 6) origin then direction. */
  readonly rays?: Float32Array;
  readonly rayConfidence?: Float32Array;
  /** (V, H, W, 3). */
  readonly points?: Float32Array;
  readonly pointConfidence?: Float32Array;
}

type MapName = Exclude<keyof GeometryMaps, 'views' | 'height' | 'width'>;

const COMPONENTS: Readonly<Record<MapName, number>> = {
  depth: 1,
  depthConfidence: 1,
  rays: 6,
  rayConfidence: 1,
  points: 3,
  pointConfidence: 1,
};

/** (T, C) by site. */
export type HiddenStates = Readonly<Partial<Record<DecoderSite, Float32Array>>>;

/** Runs the heads over tapped hidden states; views of equal grids go through one program. */
export class GeometryRunner {
  readonly #context: ProgramContext;
  readonly #programs: ProgramCache;
  readonly #heads: SpatialCheckpoint;

  constructor(context: ProgramContext, programs: ProgramCache, heads: SpatialCheckpoint) {
    this.#context = context;
    this.#programs = programs;
    this.#heads = heads;
  }

  /** Has the programs for these grids compiled while something else runs. */
  async prepare(grids: readonly ViewGridV1[]): Promise<void> {
    const size = this.#heads.heads.outputSize(grids[0]!);
    for (const views of groupByGrid(grids)) {
      const { h, w } = grids[views[0]!]!;
      const { key, make } = this.#program({ views: views.length, h, w, ...size });
      this.#programs.prepare(key, make);
    }
  }

  /**
   * @param hidden must hold the taps of the heads.
   * @returns maps of all views in order, at the output size of the first view's grid.
   */
  async predict(grids: readonly ViewGridV1[], hidden: HiddenStates): Promise<GeometryMaps> {
    const size = this.#heads.heads.outputSize(grids[0]!);
    const maps: Partial<Record<MapName, Float32Array>> = {};
    for (const views of groupByGrid(grids)) {
      const { h, w } = grids[views[0]!]!;
      const shape = { views: views.length, h, w, ...size };
      const found = await this.#run(
        shape,
        views.map((view) => grids[view]!),
        hidden,
      );
      for (const [name, values] of Object.entries(found) as [MapName, Float32Array][]) {
        const perView = size.height * size.width * COMPONENTS[name];
        maps[name] ??= new Float32Array(grids.length * perView);
        for (const [i, view] of views.entries()) {
          maps[name].set(values.subarray(i * perView, (i + 1) * perView), view * perView);
        }
      }
    }
    return { views: grids.length, ...size, ...maps };
  }

  async #run(
    shape: HeadsShape,
    grids: readonly ViewGridV1[],
    hidden: HiddenStates,
  ): Promise<Partial<Record<MapName, Float32Array>>> {
    const { taps } = this.#heads;
    const { hiddenSize: channels, layers } = this.#context.backbone.config;
    const inputs = {
      parameters: Object.fromEntries(this.#parameters().map(([name, value]) => [name, value.data])),
      taps: Object.fromEntries(
        taps.map((layer, i) => {
          const states = hidden[siteOfLayer(layer, layers)]!;
          return [`t${i}`, gatherCells(states, grids, channels)];
        }),
      ),
    };
    const { key, make } = this.#program(shape);
    const outputs = await this.#programs.use(
      key,
      make,
      async (program) => (await program.run(inputs)) as Record<string, DeviceTensor>,
    );
    const maps: Record<string, Float32Array> = {};
    for (const [name, tensor] of Object.entries(outputs)) maps[name] = await takeValues(tensor);
    return maps;
  }

  #program(shape: HeadsShape) {
    const { heads } = this.#heads;
    const shapes = Object.fromEntries(
      this.#parameters().map(([name, value]) => [name, value.shape]),
    );
    return {
      key: `heads:${Object.values(shape).join()}:${heads.headId}:${JSON.stringify(heads.options)}`,
      make: () => compileHeads(this.#context, heads, shapes, shape),
    };
  }

  /** Those of the maps. */
  #parameters() {
    const all = Object.entries(this.#heads.parameters);
    return all.filter(([name]) => !name.startsWith('spatial.distill.'));
  }
}

/** View numbers by equal grid, in order of first appearance. */
function groupByGrid(grids: readonly ViewGridV1[]): number[][] {
  const groups = new Map<string, number[]>();
  for (const [view, { h, w }] of grids.entries()) {
    const key = `${h}x${w}`;
    groups.set(key, [...(groups.get(key) ?? []), view]);
  }
  return [...groups.values()];
}

/** Rows of the grid cells of some views: (T, C) → (V, h, w, C). */
export function gatherCells(
  hidden: Float32Array,
  grids: readonly ViewGridV1[],
  channels: number,
): Float32Array {
  const index = grids.flatMap((grid) => [...grid.tokenIndex]);
  const rows = new Float32Array(index.length * channels);
  for (const [i, token] of index.entries()) {
    rows.set(hidden.subarray(token * channels, (token + 1) * channels), i * channels);
  }
  return rows;
}
