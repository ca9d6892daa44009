import { cameraOfView, cameraStack, labelMaps, projectPoints } from '@spatialsv/core';
import { OCCLUSION_TOLERANCE, trueMatches } from '@spatialsv/train';
import { createScene, renderLabels } from '@spatialsv/vfm-synthetic';

const SIDE_PX = 48;
/** Pixels of the exact truth to a pixel of the labels, so that both have their centres in common. */
const FINER = 9;
const GRID = 8;
const FINE_PX = SIDE_PX * FINER;

describe('true matches on rendered rooms', () => {
  const scenes = [1, 4, 9].map((seed) => {
    const scene = createScene(seed);
    const cameras = scene.cameras.slice(0, 2);
    const labels = renderLabels(scene, { cameras, height: SIDE_PX, width: SIDE_PX });
    const fine = renderLabels(scene, { cameras, height: FINE_PX, width: FINE_PX });
    const covered = { x0: 0, y0: 0, x1: SIDE_PX, y1: SIDE_PX };
    const image = { height: SIDE_PX, width: SIDE_PX };
    const layout = { h: GRID, w: GRID, covered, image };
    const { points } = labelMaps(labels);
    /** What the second view shows where the point of a cell of the first one is projected to. */
    const look = (cell: number) => {
      const [row, column] = [Math.floor(cell / GRID), cell % GRID];
      const middle = SIDE_PX / GRID / 2;
      const y = row * 2 * middle + middle;
      const pixel = y * SIDE_PX + column * 2 * middle + middle;
      const point = points.slice(3 * pixel, 3 * pixel + 3);
      const [u, v, z] = [...projectPoints(point, cameraOfView(cameraStack(fine), 1))] as [
        number,
        number,
        number,
      ];
      const isInside = z > 0 && u >= 0 && u < FINE_PX && v >= 0 && v < FINE_PX;
      const seen = fine.depth[(FINE_PX + Math.floor(v)) * FINE_PX + Math.floor(u)]!;
      return { u, v, z, isInside, difference: Math.abs(seen - z) / z };
    };
    return { found: trueMatches(labels, [layout, layout], 0, 1), look };
  });

  it('are the places where the exact cameras put the points', () => {
    for (const { found, look } of scenes)
      found.cells.forEach((cell, match) => {
        const { u, v } = look(cell);
        const cells = (pixels: number) => (pixels / FINE_PX) * GRID;
        expect(found.places[2 * match]).toBeCloseTo(cells(v), 4);
        expect(found.places[2 * match + 1]).toBeCloseTo(cells(u), 4);
        expect(found.targets[match]).toBe(Math.floor(cells(v)) * GRID + Math.floor(cells(u)));
      });
    expect(scenes.reduce((sum, { found }) => sum + found.cells.length, 0)).toBeGreaterThan(40);
  });

  it('show the same point in both views, and leave out points that something hides', () => {
    let [matched, hidden, wrong] = [0, 0, 0];
    for (const { found, look } of scenes)
      for (let cell = 0; cell < GRID ** 2; cell++) {
        const { isInside, difference } = look(cell);
        const isMatched = found.cells.includes(cell);
        if (isMatched) expect(isInside).toBe(true);
        if (!isInside) continue;
        const isVisible = difference <= OCCLUSION_TOLERANCE;
        if (isVisible !== isMatched) wrong += 1;
        if (isVisible) matched += 1;
        else hidden += 1;
      }
    expect(matched).toBeGreaterThan(40);
    expect(hidden).toBeGreaterThan(5);
    // Labels have coarser pixels than the truth, which differ where a contour runs through one.
    expect(wrong / (matched + hidden)).toBeLessThan(0.05);
  });
});
