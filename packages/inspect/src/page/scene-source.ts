import type { PageData, PageMaps, PageScene } from '../report/format.js';

/** Maps of all views as arrays. */
export interface DecodedMaps {
  readonly maps: PageMaps;
  readonly pixels: number;
  /** (V, H, W) codes, 0 for none. */
  readonly depth: Uint16Array;
  /** (V, H, W) share of less confident pixels, of 255; all 255 without confidence. */
  readonly rank: Uint8Array;
  /** x, y, z codes, each (V, H, W). */
  readonly position: readonly [Uint16Array, Uint16Array, Uint16Array];
}

export interface DecodedView {
  readonly name: string;
  readonly aspect: number;
  readonly photo: ImageBitmap;
}

export interface DecodedScene {
  readonly scene: PageScene;
  readonly views: readonly DecodedView[];
  readonly label: DecodedMaps | null;
  readonly predictions: readonly (DecodedMaps | null)[];
}

type Waiting = Map<string, (scene: PageScene) => void>;

/** Reads scenes when they are looked at, and keeps the last few. */
export class SceneSource {
  readonly #place: PageData['scenes'];
  readonly #kept = new Map<string, Promise<DecodedScene>>();
  readonly #waiting: Waiting = new Map();

  constructor(place: PageData['scenes']) {
    this.#place = place;
    Object.assign(window, {
      spatialsvScene: (key: string, scene: PageScene) => this.#waiting.get(key)?.(scene),
    });
  }

  /** @throws Error saying which scene could not be read. */
  read(key: string): Promise<DecodedScene> {
    const known = this.#kept.get(key);
    if (known !== undefined) return known;
    const reading = this.#load(key).then(decodeScene);
    this.#kept.set(key, reading);
    reading.catch(() => this.#kept.delete(key));
    for (const old of [...this.#kept.keys()].slice(0, -KEPT)) this.#kept.delete(old);
    return reading;
  }

  async #load(key: string): Promise<PageScene> {
    if (this.#place === 'inline') {
      const element = await wholeElement(`scene-${key}`);
      if (element === null) throw new Error(`scene ${key} is not in this page`);
      return JSON.parse(element.textContent!);
    }
    if (this.#place === 'beside') return this.#script(key);
    const response = await fetch(`scenes/${key}.json`);
    if (!response.ok) throw new Error(`scene ${key}: the server answered ${await response.text()}`);
    return response.json();
  }

  #script(key: string): Promise<PageScene> {
    return new Promise((resolve, reject) => {
      const script = document.createElement('script');
      this.#waiting.set(key, resolve);
      script.src = `scenes/${key}.js`;
      script.onload = () => script.remove();
      script.onerror = () => reject(new Error(`scenes/${key}.js is not beside this page`));
      document.head.append(script);
    });
  }
}

const KEPT = 6;
/** Milliseconds between two looks for an element that is still to come. */
const LOOK_MS = 15;

/** An element of a page that is still being read: the first scene is shown before the last one is there. */
async function wholeElement(id: string): Promise<Element | null> {
  for (;;) {
    const element = document.getElementById(id);
    // Text comes in pieces: an element is whole when something stands behind it.
    if (document.readyState !== 'loading' || element?.nextSibling) return element;
    await new Promise((resolve) => setTimeout(resolve, LOOK_MS));
  }
}

async function decodeScene(scene: PageScene): Promise<DecodedScene> {
  const count = scene.views.length;
  const views = scene.views.map(async ({ name, width, height, photo }) => ({
    name,
    aspect: width / height,
    photo: await createImageBitmap(new Blob([bytesOf(photo)], { type: 'image/jpeg' })),
  }));
  const decode = (maps: PageMaps | null) => (maps ? decodeMaps(maps, count) : null);
  return {
    scene,
    views: await Promise.all(views),
    label: await decode(scene.label),
    predictions: await Promise.all(scene.predictions.map(decode)),
  };
}

const bytesOf = (base64: string): Uint8Array<ArrayBuffer> =>
  Uint8Array.from(atob(base64), (character) => character.charCodeAt(0));

export async function decodeMaps(maps: PageMaps, views: number): Promise<DecodedMaps> {
  const pixels = views * maps.height * maps.width;
  const bytes = await inflate(bytesOf(maps.data));
  let at = 0;
  const plane = () => {
    at += pixels;
    return bytes.subarray(at - pixels, at);
  };
  const words = () => decodeWords(plane(), plane(), maps.width);
  const depth = words();
  const rank = maps.hasConfidence
    ? decodeBytes(plane(), maps.width)
    : new Uint8Array(pixels).fill(255);
  return { maps, pixels, depth, rank, position: [words(), words(), words()] };
}

async function inflate(bytes: Uint8Array<ArrayBuffer>): Promise<Uint8Array> {
  const stream = new Blob([bytes]).stream().pipeThrough(new DecompressionStream('deflate-raw'));
  return new Uint8Array(await new Response(stream).arrayBuffer());
}

/** The zigzag code of a change along a row. */
const change = (code: number): number => (code >>> 1) ^ -(code & 1);

function decodeWords(low: Uint8Array, high: Uint8Array, width: number): Uint16Array {
  const codes = new Uint16Array(low.length);
  for (let i = 0; i < codes.length; i++) {
    const before = i % width === 0 ? (codes[i - width] ?? 0) : codes[i - 1]!;
    codes[i] = before + change(low[i]! | (high[i]! << 8));
  }
  return codes;
}

function decodeBytes(changes: Uint8Array, width: number): Uint8Array {
  const codes = new Uint8Array(changes.length);
  for (let i = 0; i < codes.length; i++) {
    const before = i % width === 0 ? (codes[i - width] ?? 0) : codes[i - 1]!;
    codes[i] = before + change(changes[i]!);
  }
  return codes;
}

/** Depth of a pixel; undefined where there is none. */
export function depthAt({ maps, depth }: DecodedMaps, pixel: number): number | undefined {
  const code = depth[pixel]!;
  return code === 0 ? undefined : maps.depthMin + (code - 1) * maps.depthStep;
}

/** Whether the point of a pixel lies somewhere. */
export const isPlaced = ({ depth, position }: DecodedMaps, pixel: number): boolean =>
  depth[pixel] !== 0 && position[0][pixel] !== 0;

/** The confidence below which a share (of 255) of the pixels lies. */
export function confidenceOf({ confidenceQuantiles: q }: PageMaps, rank: number): number {
  const place = (rank / 255) * (q.length - 1);
  const low = Math.min(q.length - 1, Math.floor(place));
  const high = Math.min(q.length - 1, low + 1);
  return q[low]! + (place - low) * (q[high]! - q[low]!);
}
