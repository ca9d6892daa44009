import {
  BufferAttribute,
  BufferGeometry,
  Color,
  LineBasicMaterial,
  LineSegments,
  Points,
  ShaderMaterial,
} from 'three';
import type { PageCamera } from '../report/format.js';
import { viewColor } from './dom.js';
import { type DecodedMaps, type DecodedScene, type DecodedView, isPlaced } from './scene-source.js';

/** Depths that differ by more than this share of the smaller one are an edge. */
const EDGE = 0.08;

/** The points of a source, in a random order: any first part of them is an even sample. */
export function cloudOf(decoded: DecodedMaps, scene: DecodedScene): Points {
  const { maps, position, rank } = decoded;
  const kept = shuffled(keptPixels(decoded));
  const pixelsOfView = maps.width * maps.height;
  const photos = scene.views.map((view) => photoPixels(view, maps.width, maps.height));
  const places = new Uint16Array(kept.length * 3);
  const ranks = new Uint8Array(kept.length);
  const colors = new Uint8Array(kept.length * 4);
  for (const [n, i] of kept.entries()) {
    for (let a = 0; a < 3; a++) places[n * 3 + a] = position[a as 0 | 1 | 2][i]!;
    ranks[n] = rank[i]!;
    const photo = photos[Math.floor(i / pixelsOfView)]!;
    const at = (i % pixelsOfView) * 4;
    for (let c = 0; c < 4; c++) colors[n * 4 + c] = photo[at + c]!;
  }
  const geometry = new BufferGeometry();
  geometry.setAttribute('position', new BufferAttribute(places, 3));
  geometry.setAttribute('rank', new BufferAttribute(ranks, 1));
  geometry.setAttribute('color', new BufferAttribute(colors, 4, true));
  const points = new Points(geometry, pointMaterial());
  points.position.fromArray([...maps.origin]);
  points.scale.fromArray([...maps.step]);
  points.frustumCulled = false;
  return points;
}

function keptPixels(decoded: DecodedMaps): Uint32Array {
  const { maps, pixels } = decoded;
  const kept = new Uint32Array(pixels);
  let count = 0;
  for (let i = 0; i < pixels; i++) {
    if (!isPlaced(decoded, i) || (maps.dropEdges && isEdge(decoded, i))) continue;
    kept[count++] = i;
  }
  return kept.subarray(0, count);
}

/** Whether depth jumps between this pixel and a neighbour of the same view. */
function isEdge({ depth, maps }: DecodedMaps, i: number): boolean {
  const { width, height, depthMin, depthStep } = maps;
  const value = (j: number) => depthMin + (depth[j]! - 1) * depthStep;
  const own = value(i);
  const column = i % width;
  const row = Math.floor(i / width) % height;
  const differs = (j: number) => Math.abs(value(j) - own) > EDGE * Math.min(value(j), own);
  return (
    (column > 0 && differs(i - 1)) ||
    (column < width - 1 && differs(i + 1)) ||
    (row > 0 && differs(i - width)) ||
    (row < height - 1 && differs(i + width))
  );
}

/** Fisher–Yates with a small generator of its own, so that a scene looks the same each time. */
function shuffled(items: Uint32Array): Uint32Array {
  let state = 1;
  for (let i = items.length - 1; i > 0; i--) {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    const j = state % (i + 1);
    [items[i], items[j]] = [items[j]!, items[i]!];
  }
  return items;
}

/** (H, W, 4) colours of an image at the size of the maps. */
function photoPixels({ photo }: DecodedView, width: number, height: number): Uint8ClampedArray {
  const canvas = new OffscreenCanvas(width, height);
  const context = canvas.getContext('2d', { willReadFrequently: true })!;
  context.imageSmoothingQuality = 'high';
  context.drawImage(photo, 0, 0, width, height);
  return context.getImageData(0, 0, width, height).data;
}

function pointMaterial(): ShaderMaterial {
  return new ShaderMaterial({
    uniforms: { threshold: { value: 0 }, diameter: { value: 1 } },
    vertexShader: `
      attribute vec4 color;
      attribute float rank;
      uniform float threshold;
      uniform float diameter;
      varying vec3 tint;
      void main() {
        tint = color.rgb;
        vec4 seen = modelViewMatrix * vec4(position, 1.0);
        gl_Position = projectionMatrix * seen;
        gl_PointSize = clamp(diameter / -seen.z, 1.0, 24.0);
        if (rank < threshold) { gl_Position = vec4(2.0, 2.0, 2.0, 1.0); gl_PointSize = 0.0; }
      }`,
    fragmentShader: `
      varying vec3 tint;
      void main() { gl_FragColor = vec4(tint, 1.0); }`,
  });
}

/** Frusta of the cameras, each in the colour of its view. */
export function frustaOf(cameras: readonly PageCamera[]): LineSegments {
  const positions = cameras.flatMap(({ segments }) => segments);
  const colors = cameras.flatMap(({ view, segments }) => {
    const color = new Color(viewColor(view)).toArray();
    return Array.from({ length: segments.length / 3 }, () => color).flat();
  });
  const geometry = new BufferGeometry();
  geometry.setAttribute('position', new BufferAttribute(Float32Array.from(positions), 3));
  geometry.setAttribute('color', new BufferAttribute(Float32Array.from(colors), 3));
  const lines = new LineSegments(geometry, new LineBasicMaterial({ vertexColors: true }));
  lines.frustumCulled = false;
  return lines;
}
