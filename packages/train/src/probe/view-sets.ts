import { dirname } from 'node:path';
import { createRandom, SpatialError, type ViewGridV1 } from '@spatialsv/core';
import { sha256 } from '../data/sha256.js';

/** A view set whose images were read. */
export interface ProbeSet {
  /** SHA-256 over those of the images: equal for equal images in equal order. */
  readonly id: string;
  /** Absolute paths, in prompt order. */
  readonly images: readonly string[];
  /** SHA-256 of the images. */
  readonly hashes: readonly string[];
}

export const probeSetId = (hashes: readonly string[]): string => sha256(hashes.join(' '));

/** Where the cells of a view lie in its image. */
export interface ViewLayout extends Pick<ViewGridV1, 'h' | 'w' | 'covered'> {
  /** Size of the image, pixels. */
  readonly image: { readonly height: number; readonly width: number };
}

/** View sets of some scenes to train on, and of the other scenes to measure on. */
export interface Split {
  readonly train: readonly ProbeSet[];
  readonly heldOut: readonly ProbeSet[];
  readonly scenes: { readonly train: number; readonly heldOut: number };
}

/**
 * Scene number of each view set. Sets that share an image, or a folder of images, show one scene; folders count only where they
 * tell scenes apart, which one folder for everything does not.
 */
export function scenesOf(sets: readonly ProbeSet[]): readonly number[] {
  const byImages = groupByShared(sets.map(({ hashes }) => hashes));
  const byFolders = groupByShared(
    sets.map(({ hashes, images }) => [...hashes, ...images.map(folderOf)]),
  );
  return new Set(byFolders).size > 1 ? byFolders : byImages;
}

const folderOf = (path: string): string => `folder ${dirname(path)}`;

/** Equal numbers for lists that are connected by common members, in order of first appearance. */
function groupByShared(lists: readonly (readonly string[])[]): readonly number[] {
  const parents = lists.map((_, index) => index);
  const root = (index: number): number => {
    let at = index;
    while (parents[at] !== at) at = parents[at]!;
    return at;
  };
  const firstWith = new Map<string, number>();
  for (const [index, members] of lists.entries())
    for (const member of members) {
      const other = firstWith.get(member);
      if (other === undefined) firstWith.set(member, index);
      else parents[Math.max(root(index), root(other))] = Math.min(root(index), root(other));
    }
  return lists.map((_, index) => root(index));
}

/**
 * Splits view sets by scene: no image of a held-out scene is trained on.
 * @param heldOut share of the scenes that is held out, in (0, 1); at least one scene is on either side.
 * @throws SpatialError DATA_INVALID where there are not two scenes.
 */
export function splitByScene(sets: readonly ProbeSet[], heldOut: number, seed: number): Split {
  const scenes = scenesOf(sets);
  const distinct = [...new Set(scenes)];
  if (distinct.length < 2)
    throw new SpatialError({
      code: 'DATA_INVALID',
      message: `${sets.length} view sets: expected at least two scenes, to train on one and measure on another, found ${distinct.length}`,
      hint: 'Sets that share an image are one scene. Give images of more scenes.',
    });
  const count = Math.min(distinct.length - 1, Math.max(1, Math.round(heldOut * distinct.length)));
  const chosen = new Set(createRandom(seed).shuffle(distinct).slice(0, count));
  const part = (isHeldOut: boolean) =>
    sets.filter((_, index) => chosen.has(scenes[index]!) === isHeldOut);
  return {
    train: part(false),
    heldOut: part(true),
    scenes: { train: distinct.length - count, heldOut: count },
  };
}
