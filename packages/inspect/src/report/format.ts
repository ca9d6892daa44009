/** What a report page reads: types alone, shared by the writer (Node) and by the page (browser). */

/** A report as its page reads it first: everything but images and maps. */
export interface PageData {
  readonly title: string;
  readonly subtitle?: string;
  /** Something the reader has to know before trusting the page. */
  readonly notice?: string;
  /** Models or checkpoints, at most two. */
  readonly runs: readonly PageRun[];
  readonly questions: readonly PageQuestion[];
  /** Files beside the page. */
  readonly files: readonly { readonly name: string; readonly what: string }[];
  /** How scenes come: inside of the page, as scripts beside it, or from the server. */
  readonly scenes: 'inline' | 'beside' | 'server';
  readonly training?: PageTraining;
}

export interface PageRun {
  readonly name: string;
  readonly facts: readonly PageFact[];
}

export interface PageFact {
  readonly name: string;
  readonly value: string;
}

export interface PageQuestion {
  readonly id: string;
  readonly category: string;
  readonly text: string;
  readonly options: readonly { readonly letter: string; readonly text: string }[];
  readonly expected?: string;
  /** By run; null where the run was not asked. */
  readonly answers: readonly (PageAnswer | null)[];
  /** Key of the scene that it is about. */
  readonly scene?: string;
}

export interface PageAnswer {
  /** What the model said. */
  readonly text: string;
  /** What was read out of it; null where nothing could be. */
  readonly read?: string | null;
  /** In [0, 1]; absent where the right answer is not known. */
  readonly score?: number;
  /** Root mean square error of the lifted depth beside the label, in the unit of the labels; where it is known. */
  readonly depthRmse?: number;
}

/** Losses of a run that is training, or has been. */
export interface PageTraining {
  /** Optimiser steps of the whole run, where that is known. */
  readonly steps?: number;
  readonly curves: readonly {
    readonly name: string;
    /** Pairs of step and value. */
    readonly points: readonly (readonly [number, number])[];
  }[];
  /** Steps at which the watched views were lifted: the scene of a question at step N is `scene@N`. */
  readonly watched: readonly number[];
}

/** Images, maps and cameras of one view set, in axes with y up. Arrays are packed as {@link PageMaps} says. */
export interface PageScene {
  /** Symbol after a depth; empty for relative depths. */
  readonly unit: string;
  /** Depths that the colours span, in all maps of the scene. */
  readonly depthRange: readonly [number, number];
  readonly centre: readonly number[];
  readonly radius: number;
  readonly views: readonly PageView[];
  /** What the label source says, then each run; null where there is nothing. */
  readonly label: PageMaps | null;
  readonly predictions: readonly (PageMaps | null)[];
}

export interface PageView {
  readonly name: string;
  readonly width: number;
  readonly height: number;
  /** Base64 of a JPEG. */
  readonly photo: string;
}

/** Maps of all views at one size. */
export interface PageMaps {
  readonly width: number;
  readonly height: number;
  /** Value of depth code c > 0 is `depthMin + (c − 1) · depthStep`; 0 is no depth. */
  readonly depthMin: number;
  readonly depthStep: number;
  /** Whether there is a plane of confidence. */
  readonly hasConfidence: boolean;
  /** Confidences below which a share of i / (n − 1) of the pixels lies, i = 0 … n − 1. */
  readonly confidenceQuantiles: readonly number[];
  /** World position, y up, of code 0, which no known point has, and size of one step, per axis. */
  readonly origin: readonly number[];
  readonly step: readonly number[];
  /** Whether points between a near and a far surface are left out. */
  readonly dropEdges: boolean;
  /**
   * Base64 of deflated bytes: planes depth, confidence (share of less confident pixels, of 255), x, y, z, each (V, H, W).
   * Every plane of 16-bit codes is coded as differences along the rows, low bytes first, then high bytes; confidence as
   * bytes, likewise as differences.
   */
  readonly data: string;
  readonly cameras: readonly PageCamera[];
  /** How far the maps are from the label. */
  readonly metrics: readonly PageFact[];
}

export interface PageCamera {
  readonly view: number;
  /** (n, 2, 3) line segments of the frustum. */
  readonly segments: readonly number[];
  readonly centre: readonly number[];
  readonly forward: readonly number[];
  readonly fovY: number;
}
