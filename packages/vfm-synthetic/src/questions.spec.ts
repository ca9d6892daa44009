import { createRandom } from '@spatialsv/core/kit';
import { createScene } from './create-scene.js';
import { CATEGORIES } from './question-categories.js';
import { AnswerBalance, drawQuestions, type Question, type QuestionOptions } from './questions.js';
import { renderGeometry } from './render-view.js';
import { FIRST_OBJECT_ID, MOTIONS, type Motion, type Scene } from './scene.js';
import { type Appearances, measureAppearances } from './visibility.js';

/*
 * The answers are derived again here from the words of the question and the raw positions, with complex numbers
 * (x + i·z) instead of bearings: w = p / d, where d is the unit heading, has its real part ahead and its imaginary
 * part to the left (z is ahead at yaw 0, so left of +z is −x, which is +i times +z).
 */
type Complex = readonly [number, number];
const minus = (a: Complex, b: Complex): Complex => [a[0] - b[0], a[1] - b[1]];
/** (ahead, left) components of `v` for someone who faces `facing`. */
const seenAlong = (v: Complex, facing: Complex): Complex => {
  const length = Math.hypot(...facing);
  return [
    (v[0] * facing[0] + v[1] * facing[1]) / length,
    (v[1] * facing[0] - v[0] * facing[1]) / length,
  ];
};
const headingOf = (yawDeg: number): Complex => [
  Math.sin((yawDeg / 180) * Math.PI),
  Math.cos((yawDeg / 180) * Math.PI),
];
const leftOf = ([x, z]: Complex): Complex => [-z, x];
const opposite = ([x, z]: Complex): Complex => [-x, -z];

const where = (scene: Scene, name: string): Complex => {
  const object = scene.objects.find((other) => other.name === name);
  if (object === undefined) throw new Error(`no ${name} in the scene`);
  return object.position;
};
const standsAt = (scene: Scene, view: number): Complex => [
  scene.cameras[view]!.position[0],
  scene.cameras[view]!.position[2],
];
const faces = (scene: Scene, view: number): Complex => headingOf(scene.cameras[view]!.yawDeg);

/** Words that are left after the options are cut off, and the options by letter. */
const splitQuestion = (text: string): { stem: string; options: Map<string, string> } => {
  const options = new Map<string, string>();
  let rest = text;
  for (const letter of ['D', 'C', 'B', 'A']) {
    const at = rest.lastIndexOf(` ${letter}. `);
    if (at < 0) continue;
    options.set(letter, rest.slice(at + 4));
    rest = rest.slice(0, at);
  }
  return { stem: rest, options };
};

/** How true an option is: the right one must be true, the others false. */
type Judge = (option: string) => boolean;

const judgeMove = (scene: Scene, [first, second]: readonly number[]): Judge => {
  const moved = minus(standsAt(scene, second!), standsAt(scene, first!));
  const [ahead, left] = seenAlong(moved, faces(scene, first!));
  const ratio = Math.abs(ahead) / Math.abs(left);
  return (option) => {
    const side = option.endsWith('left') ? left > 0 : left < 0;
    return side && (option.startsWith('Directly') ? ratio < 0.4 : ahead > 0 && ratio > 0.5);
  };
};

const judgeTurn = (scene: Scene, [first, second]: readonly number[]): Judge => {
  const [, left] = seenAlong(faces(scene, second!), faces(scene, first!));
  return (option) => (option === 'Left' ? left > 0.3 : left < -0.3);
};

const HUES: Record<string, readonly number[]> = {
  blue: [0.69, 0.79, 0.89],
  yellow: [0.93, 0.83, 0.66],
  green: [0.75, 0.85, 0.7],
  pink: [0.89, 0.74, 0.74],
  violet: [0.8, 0.75, 0.87],
  ivory: [0.93, 0.91, 0.84],
  turquoise: [0.66, 0.81, 0.8],
  brown: [0.83, 0.79, 0.73],
};

/** Walks along the heading in small steps until the room ends; the wall that was crossed has the named paint. */
const judgeWall = (scene: Scene, view: number): Judge => {
  const [dx, dz] = faces(scene, view);
  let [x, z] = standsAt(scene, view);
  const { width, depth, materials } = scene.room;
  while (Math.abs(x) < width / 2 && Math.abs(z) < depth / 2) {
    x += 0.01 * dx;
    z += 0.01 * dz;
  }
  const surface = Math.abs(z) >= depth / 2 ? (z > 0 ? 2 : 4) : x > 0 ? 3 : 5;
  const { colour } = materials[surface]!;
  return (option) => {
    const hue = HUES[/The ([a-z]+) wall/.exec(option)![1]!]!;
    return hue.every((value, k) => Math.abs(value - colour[k]!) < 0.02);
  };
};

const judgeInView = (scene: Scene, stem: string, view: number): Judge | undefined => {
  const local = (name: string) =>
    seenAlong(minus(where(scene, name), standsAt(scene, view)), faces(scene, view));
  const side = /on which side is the ([a-z ]+)\?/.exec(stem);
  if (side) {
    const [ahead, left] = local(side[1]!);
    return (option) => ahead > 0 && (option === 'Left' ? left : -left) > 0.1 * ahead;
  }
  const relation = /is the ([a-z ]+) to the left or to the right of the ([a-z ]+)\?/.exec(stem);
  if (relation) {
    const [a, b] = [local(relation[1]!), local(relation[2]!)];
    const cross = b[0] * a[1] - b[1] * a[0];
    return (option) => (option === 'Left' ? cross : -cross) > 0.1 * Math.hypot(...a);
  }
  return undefined;
};

const judgeDistance = (scene: Scene, stem: string, view: number, options: string[]): Judge => {
  const range = (name: string) => Math.hypot(...minus(where(scene, name), standsAt(scene, view)));
  const sorted = [...options].sort((a, b) => range(a) - range(b));
  if (stem.includes('farthest')) sorted.reverse();
  return (option) => option === sorted[0];
};

const turned = (facing: Complex, stem: string): Complex => {
  if (stem.includes('then I turn left')) return leftOf(facing);
  if (stem.includes('then I turn right')) return opposite(leftOf(facing));
  return stem.includes('then I turn around') ? opposite(facing) : facing;
};

/** The named direction: the larger component by far, with the right sign. */
const isTowards = (local: Complex, word: string): boolean => {
  const [ahead, left] = local;
  if (word === 'left') return left > 1.4 * Math.abs(ahead);
  if (word === 'right') return -left > 1.4 * Math.abs(ahead);
  if (word === 'behind') return -ahead > 1.4 * Math.abs(left);
  return ahead > 1.4 * Math.abs(left);
};

const judgeAcross = (scene: Scene, stem: string, view: number): Judge | undefined => {
  const here = standsAt(scene, view);
  const facing = turned(faces(scene, view), stem);
  const closer = /will I get closer to the ([a-z ]+)\?/.exec(stem);
  if (closer) {
    const target = minus(where(scene, closer[1]!), here);
    const change = Math.hypot(...minus(target, facing)) - Math.hypot(...target);
    return (option) => (option === 'Yes' ? change < -0.2 : change > 0.2);
  }
  const self = /what is (?:to my )?(left|right|behind)(?: me)?\?/.exec(stem);
  if (self) {
    return (option) => isTowards(seenAlong(minus(where(scene, option), here), facing), self[1]!);
  }
  const centre = /what is (?:to the )?(left|right|behind)(?: of)? the ([a-z ]+)\?/.exec(stem);
  if (centre) {
    const from = where(scene, centre[2]!);
    const word = centre[1] === 'behind' ? 'ahead' : centre[1]!;
    return (option) =>
      isTowards(seenAlong(minus(where(scene, option), from), faces(scene, view)), word);
  }
  return undefined;
};

const judgeObject = (scene: Scene, stem: string): Judge => {
  const [, self, faced, target] =
    /positioned where the ([a-z ]+) is and facing the ([a-z ]+), where would the ([a-z ]+) be\?/.exec(
      stem,
    )!;
  const from = where(scene, self!);
  const local = seenAlong(minus(where(scene, target!), from), minus(where(scene, faced!), from));
  return (option) => isTowards(local, option.toLowerCase().replace('to my ', '').split(' ')[0]!);
};

const judgeOf = (scene: Scene, question: Question): Judge => {
  const { stem, options } = splitQuestion(question.text);
  if (stem.includes('did I move')) return judgeMove(scene, question.views);
  if (stem.includes('did I turn')) return judgeTurn(scene, question.views);
  if (stem.includes('which wall am I facing')) return judgeWall(scene, question.views[1]!);
  if (stem.includes('positioned where')) return judgeObject(scene, stem);
  const image = /(?:presented in|as shown in) image (\d)/.exec(stem)![1]!;
  const view = question.views[Number(image) - 1]!;
  if (stem.includes('which of these')) {
    return judgeDistance(scene, stem, view, [...options.values()]);
  }
  return (judgeInView(scene, stem, view) ?? judgeAcross(scene, stem, view))!;
};

interface Asked {
  readonly scene: Scene;
  readonly appearances: Appearances;
  readonly questions: readonly Question[];
}

const ask = (
  motion: Motion,
  seed: number,
  balance: AnswerBalance,
  options: QuestionOptions = {},
) => {
  const scene = createScene(seed, { motion, views: 2 + (seed % 7) });
  const views = scene.cameras.map((camera) =>
    renderGeometry(scene, camera, { width: 96, height: 96 }),
  );
  const appearances = measureAppearances(scene.objects.length, views);
  const questions = drawQuestions(createRandom(seed), scene, appearances, 24, balance, options);
  return { scene, appearances, questions, views } as const;
};

const balance = new AnswerBalance();
const asked: readonly Asked[] = MOTIONS.flatMap((motion) =>
  Array.from({ length: 21 }, (_, seed) => ask(motion, seed, balance)),
);
const all = asked.flatMap(({ questions }) => questions);

describe('questions', () => {
  it('have the answer that the raw positions give, and no other right option', () => {
    expect(all.length).toBeGreaterThan(1200);
    for (const { scene, questions } of asked) {
      for (const question of questions) {
        const judge = judgeOf(scene, question);
        const { options } = splitQuestion(question.text);
        const right = [...options].filter(([, text]) => judge(text)).map(([letter]) => letter);
        expect({ text: question.text, right }).toEqual({
          text: question.text,
          right: [question.answer],
        });
      }
    }
  });

  it('come in every category', () => {
    expect(new Set(all.map(({ category }) => category))).toEqual(new Set(CATEGORIES));
  });

  it('list in line the options that they have, two to four and all different', () => {
    for (const { text, options } of all) {
      expect([...splitQuestion(text).options.values()].reverse()).toEqual(options);
      expect(new Set(options).size).toBe(options.length);
      expect(options.length).toBeGreaterThanOrEqual(2);
      expect(options.length).toBeLessThanOrEqual(4);
    }
  });

  it('have evenly spread letters for every number of options', () => {
    for (const count of [2, 3, 4]) {
      const letters = all.filter(({ options }) => options.length === count);
      const counts = ['A', 'B', 'C', 'D']
        .slice(0, count)
        .map((letter) => letters.filter(({ answer }) => answer === letter).length);
      expect(Math.max(...counts) - Math.min(...counts)).toBeLessThanOrEqual(1);
    }
  });

  it('have evenly spread closed answers', () => {
    const shareOf = (category: string, text: string): number => {
      const some = all.filter((question) => question.category === category);
      const hits = some.filter(({ options, answer }) => options['ABCD'.indexOf(answer)] === text);
      return hits.length / some.length;
    };
    expect(shareOf('view-side', 'Left')).toBeCloseTo(0.5, 1);
    expect(shareOf('view-relation', 'Left')).toBeCloseTo(0.5, 1);
    expect(shareOf('camera-turn', 'Left')).toBeCloseTo(0.5, 1);
    expect(shareOf('self-approach', 'Yes')).toBeCloseTo(0.5, 1);
    expect(shareOf('object-viewpoint', 'Behind me')).toBeCloseTo(1 / 3, 1);
  });

  it('name only objects that are seen in their images', () => {
    for (const { scene, appearances, questions } of asked) {
      for (const { text, views } of questions) {
        const { stem } = splitQuestion(text);
        for (const [k, { name }] of scene.objects.entries()) {
          if (k === scene.centre || !text.includes(name)) continue;
          const image = /presented in image (\d), (?:on which|is the|which of)/.exec(stem)?.[1];
          const shown = image === undefined ? views : [views[Number(image) - 1]!];
          expect(shown.some((view) => appearances[view]![k]!.share >= 0.004)).toBe(true);
        }
      }
    }
  });

  it('are not asked twice of one scene', () => {
    for (const { questions } of asked) {
      const keys = questions.map(
        ({ text, views }) => `${views.join()} ${splitQuestion(text).stem}`,
      );
      expect(new Set(keys).size).toBe(keys.length);
    }
  });

  it('follow the seed', () => {
    const again = ask('among', 5, new AnswerBalance()).questions;
    expect(ask('among', 5, new AnswerBalance()).questions).toEqual(again);
  });
});

describe('question options', () => {
  it('ask only the categories that have a weight', () => {
    const categories = { 'view-side': 3, 'camera-move': 1, 'view-relation': 0 };
    const { questions } = ask('around', 1, new AnswerBalance(), { categories });
    expect(new Set(questions.map(({ category }) => category))).toEqual(
      new Set(['view-side', 'camera-move']),
    );
  });

  it('leave the preface out and show fewer images', () => {
    const options = { preface: false, maxImages: 2, categories: { 'self-approach': 1 } };
    const { questions } = ask('rotation', 3, new AnswerBalance(), options);
    expect(questions.length).toBeGreaterThan(2);
    for (const { text, views } of questions) {
      expect(text.startsWith('If I am standing')).toBe(true);
      expect(views).toHaveLength(2);
    }
  });

  it.each([{ 'view-sid': 1 }, { 'view-side': -1 }, { 'view-side': 0 }, {}])(
    'refuse the weights %j',
    (categories) => {
      expect(() =>
        ask('around', 1, new AnswerBalance(), { categories } as QuestionOptions),
      ).toThrow(expect.objectContaining({ code: 'CONFIG_INVALID' }));
    },
  );
});

describe('measureAppearances', () => {
  it('counts pixels and their mean column', () => {
    const seen = FIRST_OBJECT_ID + 1;
    const instances = Uint8Array.of(0, seen, 2, seen, seen, 3, 0, 0);
    const [[first, second]] = measureAppearances(2, [{ instances, width: 4 }]) as [
      [Appearances[0][0], Appearances[0][0]],
    ];
    expect(first!.share).toBe(0);
    expect(second).toEqual({ share: 3 / 8, column: (1.5 + 3.5 + 0.5) / 3 / 4 });
  });
});
