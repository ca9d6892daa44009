/**
 * The questions that can be asked about a scene. Every asker returns only questions whose answer has a clear margin:
 * objects are seen in the images that come with the question, directions lie well inside their sector, distances
 * differ by more than the objects' own extent. Wrong options lie well outside.
 */
import { CATALOGUE } from './catalogue.js';
import { paintName } from './room-style.js';
import type { Motion, Scene } from './scene.js';
import {
  type Appearances,
  angleBetween,
  bearing,
  cameraPoint,
  distance,
  footprintRadius,
  isSeen,
} from './visibility.js';

export const CATEGORIES = [
  'camera-move',
  'camera-turn',
  'view-wall',
  'view-side',
  'view-relation',
  'view-distance',
  'self-direction',
  'self-approach',
  'centre-relation',
  'object-viewpoint',
] as const;
export type Category = (typeof CATEGORIES)[number];

export interface QuestionContext {
  readonly scene: Scene;
  readonly appearances: Appearances;
  /** Views that a question with all views shows, in order. */
  readonly window: readonly number[];
}

/** A question without its letters. */
export interface Candidate {
  readonly category: Category;
  /** View indices in prompt order. */
  readonly views: readonly number[];
  /** Sentence in front of the question that says how the images were taken. */
  readonly preface: 'pair' | 'path';
  readonly text: string;
  readonly answer: string;
  /** All wrong options that may be offered; `offered` of them are drawn. */
  readonly wrong: readonly string[];
  readonly offered: number;
  /** Questions with equal `balance` keep their answers equally frequent. */
  readonly balance?: string;
}

type Asker = (context: QuestionContext) => Candidate[];

const LEFT = 'Left';
const RIGHT = 'Right';
const range = (count: number): number[] => Array.from({ length: count }, (_, k) => k);
const nameOf = ({ objects }: Scene, object: number): string => objects[object]!.name;
const objectsOf = (scene: Scene): number[] => range(scene.objects.length);
/** Number that the image of a view has in the question. */
const imageNumber = (views: readonly number[], view: number): number => views.indexOf(view) + 1;

/** Ordered pairs of different views. */
const viewPairs = (scene: Scene): [number, number][] =>
  range(scene.cameras.length).flatMap((first) =>
    range(scene.cameras.length)
      .filter((second) => second !== first)
      .map((second): [number, number] => [first, second]),
  );

const seenInAny = (context: QuestionContext, views: readonly number[], object: number): boolean =>
  views.some((view) => isSeen(context.appearances, view, object));

// ------------------------------------------------------------------------------------------------ camera motion

const MOVES: readonly { readonly text: string; readonly at: number }[] = [
  { text: 'Directly left', at: -90 },
  { text: 'Directly right', at: 90 },
  { text: 'Diagonally forward and left', at: -45 },
  { text: 'Diagonally forward and right', at: 45 },
];
/** Degrees around a move's direction that still count as this move. */
const MOVE_MARGIN = 16;

/** Between which views the camera moved in a clear direction, seen from the first one. */
const askMove: Asker = ({ scene }) => {
  if (scene.motion === 'rotation') return [];
  return viewPairs(scene).flatMap(([first, second]) => {
    const from = scene.cameras[first]!;
    const moved = bearing(cameraPoint(from), from.yawDeg, cameraPoint(scene.cameras[second]!));
    const move = MOVES.find(({ at }) => angleBetween(at, moved) <= MOVE_MARGIN);
    return move === undefined ? [] : [moveCandidate(scene.motion, first, second, move.text)];
  });
};

/** `among` moves only diagonally, so only diagonal moves are offered there: a letter cannot be ruled out unseen. */
const moveCandidate = (
  motion: Motion,
  first: number,
  second: number,
  answer: string,
): Candidate => {
  const texts = MOVES.map(({ text }) => text).filter(
    (text) => motion === 'around' || text.startsWith('Diagonally'),
  );
  return {
    category: 'camera-move',
    views: [first, second],
    preface: 'pair',
    text: 'in which direction did I move from the first view to the second view?',
    answer,
    wrong: texts.filter((text) => text !== answer),
    offered: texts.length,
    balance: `camera-move ${motion}`,
  };
};

/** Degrees of the field of view that both images of a turn share at least. */
const TURN_OVERLAP = 20;

const askTurn: Asker = ({ scene }) => {
  if (scene.motion !== 'rotation') return [];
  return viewPairs(scene).flatMap(([first, second]) => {
    const from = scene.cameras[first]!;
    const turned = angleDifference(from.yawDeg, scene.cameras[second]!.yawDeg);
    if (Math.abs(turned) > from.fovDeg - TURN_OVERLAP) return [];
    return [
      {
        category: 'camera-turn',
        views: [first, second],
        preface: 'pair',
        text: 'in which direction did I turn from the first view to the second view?',
        ...sides(turned),
        balance: 'camera-turn',
      } satisfies Candidate,
    ];
  });
};

const angleDifference = (from: number, to: number): number => bearing([0, 0], from, heading(to));
const heading = (yawDeg: number): [number, number] => [
  Math.sin((yawDeg * Math.PI) / 180),
  Math.cos((yawDeg * Math.PI) / 180),
];

const sides = (signed: number): Pick<Candidate, 'answer' | 'wrong' | 'offered'> => ({
  answer: signed < 0 ? LEFT : RIGHT,
  wrong: [signed < 0 ? RIGHT : LEFT],
  offered: 2,
});

// ------------------------------------------------------------------------------------------------ inside one view

/** A camera faces a wall when its axis is this near to the wall's normal and hits it this far from the corners. */
const FACING_DEG = 32;
const CORNER_METRES = 0.5;

/** Yaw of the walls at +z, +x, −z and −x, in the order of the room's materials. */
const WALL_YAWS = [0, 90, 180, 270];

/** Which wall, told by its paint, the second of two views faces. */
const askWall: Asker = ({ scene }) => {
  const names = scene.room.materials.slice(2).map((material) => `The ${paintName(material)} wall`);
  if (new Set(names).size < names.length) return [];
  return viewPairs(scene).flatMap(([first, second]): Candidate[] => {
    const wall = wallFaced(scene, second);
    if (wall === undefined) return [];
    return [
      {
        category: 'view-wall',
        views: [first, second],
        preface: 'pair',
        text: 'which wall am I facing in the second view?',
        answer: names[wall]!,
        wrong: names.filter((_, other) => other !== wall),
        offered: names.length,
        balance: 'view-wall',
      },
    ];
  });
};

/** Index of the wall in the middle of a view, if it clearly faces one. */
function wallFaced({ room, cameras }: Scene, view: number): number | undefined {
  const camera = cameras[view]!;
  const wall = WALL_YAWS.findIndex((yaw) => angleBetween(yaw, camera.yawDeg) <= FACING_DEG);
  if (wall < 0) return undefined;
  const [x, z] = cameraPoint(camera);
  const offAxis = Math.tan(((camera.yawDeg - WALL_YAWS[wall]!) * Math.PI) / 180);
  const [ahead, right] = [
    [room.depth / 2 - z, x],
    [room.width / 2 - x, -z],
    [room.depth / 2 + z, -x],
    [room.width / 2 + x, z],
  ][wall] as [number, number];
  const half = (wall % 2 === 0 ? room.width : room.depth) / 2;
  return Math.abs(right + ahead * offAxis) < half - CORNER_METRES ? wall : undefined;
}

/** Every view as first or second image of a pair: [pair, asked view]. */
const askedPairs = (scene: Scene): { views: [number, number]; view: number }[] =>
  viewPairs(scene).flatMap((views) => views.map((view) => ({ views, view })));

const viewpoint = (views: readonly number[], view: number): string =>
  `From the viewpoint presented in image ${imageNumber(views, view)}, `;

/** Degrees off the middle, share of the width off the middle. */
const SIDE_MARGIN_DEG = 8;
const SIDE_MARGIN_COLUMN = 0.1;

const askSide: Asker = ({ scene, appearances }) =>
  askedPairs(scene).flatMap(({ views, view }) => {
    const camera = scene.cameras[view]!;
    return objectsOf(scene).flatMap((object): Candidate[] => {
      const at = bearing(cameraPoint(camera), camera.yawDeg, scene.objects[object]!.position);
      const column = appearances[view]![object]!.column - 0.5;
      if (!isSeen(appearances, view, object) || Math.abs(at) < SIDE_MARGIN_DEG) return [];
      if (at * column <= 0 || Math.abs(column) < SIDE_MARGIN_COLUMN) return [];
      return [
        {
          category: 'view-side',
          views,
          preface: 'pair',
          text: `${viewpoint(views, view)}on which side is the ${nameOf(scene, object)}?`,
          ...sides(at),
          balance: 'view-side',
        },
      ];
    });
  });

/** Smallest angle between two objects that are told to be left and right of each other. */
const RELATION_MARGIN_DEG = 10;
const RELATION_MARGIN_COLUMN = 0.1;

const askRelation: Asker = ({ scene, appearances }) =>
  askedPairs(scene).flatMap(({ views, view }) => {
    const camera = scene.cameras[view]!;
    const seen = objectsOf(scene).filter((object) => isSeen(appearances, view, object));
    return seen.flatMap((a) =>
      seen.flatMap((b): Candidate[] => {
        const [atA, atB] = [a, b].map((object) =>
          bearing(cameraPoint(camera), camera.yawDeg, scene.objects[object]!.position),
        ) as [number, number];
        const columns = appearances[view]![a]!.column - appearances[view]![b]!.column;
        if (Math.abs(atA - atB) < RELATION_MARGIN_DEG || Math.abs(atA) > 90) return [];
        if (Math.abs(columns) < RELATION_MARGIN_COLUMN || columns * (atA - atB) < 0) return [];
        return [relationCandidate(scene, views, view, [a, b], atA - atB)];
      }),
    );
  });

const relationCandidate = (
  scene: Scene,
  views: readonly number[],
  view: number,
  [a, b]: readonly [number, number],
  signed: number,
): Candidate => ({
  category: 'view-relation',
  views,
  preface: 'pair',
  text: `${viewpoint(views, view)}is the ${nameOf(scene, a)} to the left or to the right of the ${nameOf(scene, b)}?`,
  ...sides(signed),
  balance: 'view-relation',
});

/** Smallest ratio of the distances of two objects that are told to be nearer and farther. */
const DISTANCE_RATIO = 1.25;

const isClearlyNearer = (scene: Scene, view: number, near: number, far: number): boolean => {
  const from = cameraPoint(scene.cameras[view]!);
  const toNear = distance(from, scene.objects[near]!.position);
  const toFar = distance(from, scene.objects[far]!.position);
  return toFar > DISTANCE_RATIO * toNear && toFar - footprintRadius(scene, far) > toNear;
};

/**
 * Only pieces that stand against walls are compared with each other, and only free ones, never the centre: otherwise
 * the names alone would tell which is nearer.
 */
const askDistance: Asker = ({ scene, appearances }) =>
  askedPairs(scene).flatMap(({ views, view }) => {
    const seen = objectsOf(scene).filter(
      (object) => object !== scene.centre && isSeen(appearances, view, object),
    );
    return seen.flatMap((object) => {
      const alike = seen.filter((other) => standsAs(scene, other) === standsAs(scene, object));
      const farther = alike.filter((other) => isClearlyNearer(scene, view, object, other));
      const nearer = alike.filter((other) => isClearlyNearer(scene, view, other, object));
      return [
        ...distanceCandidates(scene, { views, view, object, word: 'closest to' }, farther),
        ...distanceCandidates(scene, { views, view, object, word: 'farthest from' }, nearer),
      ];
    });
  });

const standsAs = (scene: Scene, object: number): string =>
  CATALOGUE.find(({ kind }) => kind === scene.objects[object]!.kind)!.stands;

const distanceCandidates = (
  scene: Scene,
  asked: { views: readonly number[]; view: number; object: number; word: string },
  others: readonly number[],
): Candidate[] =>
  others.length === 0
    ? []
    : [
        {
          category: 'view-distance',
          views: asked.views,
          preface: 'pair',
          text: `${viewpoint(asked.views, asked.view)}which of these objects is ${asked.word} me?`,
          answer: nameOf(scene, asked.object),
          wrong: others.map((other) => nameOf(scene, other)),
          offered: Math.min(4, others.length + 1),
        },
      ];

// ------------------------------------------------------------------------------------------------ across views

const DIRECTIONS: readonly { readonly phrase: string; readonly at: number }[] = [
  { phrase: 'to my left', at: -90 },
  { phrase: 'to my right', at: 90 },
  { phrase: 'behind me', at: 180 },
];
const TURNS: readonly { readonly phrase: string; readonly by: number }[] = [
  { phrase: '', by: 0 },
  { phrase: ', then I turn left', by: -90 },
  { phrase: ', then I turn right', by: 90 },
  { phrase: ', then I turn around', by: 180 },
];
/** An answer lies this near to the asked direction, a wrong option at least that far from it. */
const INSIDE_DEG = 32;
const OUTSIDE_DEG = 58;

const standing = (views: readonly number[], view: number): string =>
  `If I am standing at the same spot and facing the same direction as shown in image ${imageNumber(views, view)}`;

/** Splits the seen objects by their angle to a direction: clearly in it, clearly not in it. */
const splitByDirection = (
  angles: readonly { readonly object: number; readonly angle: number }[],
): { inside: number[]; outside: number[] } => ({
  inside: angles.filter(({ angle }) => angle <= INSIDE_DEG).map(({ object }) => object),
  outside: angles.filter(({ angle }) => angle >= OUTSIDE_DEG).map(({ object }) => object),
});

/** One candidate per object in the direction, with three or four options. */
const directionCandidates = (
  context: QuestionContext,
  category: Category,
  text: string,
  { inside, outside }: { inside: readonly number[]; outside: readonly number[] },
): Candidate[] =>
  outside.length < 2
    ? []
    : inside.map((object) => ({
        category,
        views: context.window,
        preface: 'path',
        text,
        answer: nameOf(context.scene, object),
        wrong: outside.map((other) => nameOf(context.scene, other)),
        offered: Math.min(4, outside.length + 1),
      }));

const askSelfDirection: Asker = (context) => {
  const { scene, window } = context;
  if (scene.motion === 'around') return [];
  const seen = objectsOf(scene).filter((object) => seenInAny(context, window, object));
  return window.flatMap((view) => {
    const camera = scene.cameras[view]!;
    return TURNS.flatMap((turn) =>
      DIRECTIONS.flatMap((direction) => {
        const facing = camera.yawDeg + turn.by + direction.at;
        const angles = seen.map((object) => ({
          object,
          angle: Math.abs(bearing(cameraPoint(camera), facing, scene.objects[object]!.position)),
        }));
        const text = `${standing(window, view)}${turn.phrase}, what is ${direction.phrase}?`;
        return directionCandidates(context, 'self-direction', text, splitByDirection(angles));
      }),
    );
  });
};

/** Bearings up to the first clearly get nearer with a step, bearings from the second on clearly do not. */
const APPROACH_DEG = 50;
const RECEDE_DEG = 110;
const FORWARD_METRES = 1;

/** Not about the centre of `among`: every camera faces it, so the words alone would tell the answer. */
const askApproach: Asker = (context) => {
  const { scene, window } = context;
  const seen = objectsOf(scene).filter(
    (object) => object !== scene.centre && seenInAny(context, window, object),
  );
  return window.flatMap((view) =>
    TURNS.slice(1).flatMap((turn) =>
      seen.flatMap((object): Candidate[] => {
        const camera = scene.cameras[view]!;
        const { position } = scene.objects[object]!;
        const at = Math.abs(bearing(cameraPoint(camera), camera.yawDeg + turn.by, position));
        const near = distance(cameraPoint(camera), position) < 1.5 * FORWARD_METRES;
        if (near || (at > APPROACH_DEG && at < RECEDE_DEG)) return [];
        return [
          {
            category: 'self-approach',
            views: window,
            preface: 'path',
            text: `${standing(window, view)}${turn.phrase} and move forward, will I get closer to the ${nameOf(scene, object)}?`,
            answer: at <= APPROACH_DEG ? 'Yes' : 'No',
            wrong: [at <= APPROACH_DEG ? 'No' : 'Yes'],
            offered: 2,
            balance: 'self-approach',
          },
        ];
      }),
    ),
  );
};

const CENTRE_DIRECTIONS: readonly { readonly phrase: string; readonly at: number }[] = [
  { phrase: 'to the left of', at: -90 },
  { phrase: 'to the right of', at: 90 },
  { phrase: 'behind', at: 0 },
];

const askCentre: Asker = (context) => {
  const { scene, window } = context;
  const { centre } = scene;
  if (centre === undefined) return [];
  const seen = objectsOf(scene).filter(
    (object) => object !== centre && seenInAny(context, window, object),
  );
  const from = scene.objects[centre]!.position;
  return window.flatMap((view) =>
    CENTRE_DIRECTIONS.flatMap(({ phrase, at }) => {
      const facing = scene.cameras[view]!.yawDeg + at;
      const angles = seen.map((object) => ({
        object,
        angle: Math.abs(bearing(from, facing, scene.objects[object]!.position)),
      }));
      const text = `${viewpoint(window, view)}what is ${phrase} the ${nameOf(scene, centre)}?`;
      return directionCandidates(context, 'centre-relation', text, splitByDirection(angles));
    }),
  );
};

const OBJECT_ANSWERS: readonly { readonly text: string; readonly at: number }[] = [
  { text: 'To my left', at: -90 },
  { text: 'To my right', at: 90 },
  { text: 'Behind me', at: 180 },
];
/** Objects nearer to each other than this have no clear direction. */
const APART_METRES = 1;

const askObjectViewpoint: Asker = (context) => {
  const { scene, window } = context;
  const seen = objectsOf(scene).filter((object) => seenInAny(context, window, object));
  return seen.flatMap((self) =>
    seen.flatMap((faced) =>
      seen.flatMap((target): Candidate[] => {
        const at = objectBearing(scene, self, faced, target);
        const right = OBJECT_ANSWERS.find((answer) => angleBetween(answer.at, at) <= INSIDE_DEG);
        if (right === undefined) return [];
        return [
          {
            category: 'object-viewpoint',
            views: window,
            preface: 'path',
            text: `If I was positioned where the ${nameOf(scene, self)} is and facing the ${nameOf(scene, faced)}, where would the ${nameOf(scene, target)} be?`,
            answer: right.text,
            wrong: OBJECT_ANSWERS.filter((answer) => answer !== right).map(({ text }) => text),
            offered: 3,
            balance: 'object-viewpoint',
          },
        ];
      }),
    ),
  );
};

/** Bearing of `target` for someone at `self` who faces `faced`; 0 (no answer lies there) when two of them are close. */
const objectBearing = (scene: Scene, self: number, faced: number, target: number): number => {
  const [from, ahead, to] = [self, faced, target].map((k) => scene.objects[k]!.position) as [
    readonly [number, number],
    readonly [number, number],
    readonly [number, number],
  ];
  if (distance(from, ahead) < APART_METRES || distance(from, to) < APART_METRES) return 0;
  return bearing(from, bearing(from, 0, ahead), to);
};

export const ASKERS: Readonly<Record<Category, Asker>> = {
  'camera-move': askMove,
  'camera-turn': askTurn,
  'view-wall': askWall,
  'view-side': askSide,
  'view-relation': askRelation,
  'view-distance': askDistance,
  'self-direction': askSelfDirection,
  'self-approach': askApproach,
  'centre-relation': askCentre,
  'object-viewpoint': askObjectViewpoint,
};
