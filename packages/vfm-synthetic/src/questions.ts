import { nearestName, type Random } from '@spatialsv/core/kit';
import { SpatialError } from '@spatialsv/core/spec';
import { ASKERS, CATEGORIES, type Candidate, type Category } from './question-categories.js';
import type { Scene } from './scene.js';
import type { Appearances } from './visibility.js';

/** Relative frequency by category; categories left out are not asked. */
export type CategoryWeights = Readonly<Partial<Record<Category, number>>>;

export interface QuestionOptions {
  /** All ten with equal weight where absent. */
  readonly categories?: CategoryWeights;
  /** Images of a question that needs several views, at most; 4 where absent, as in MindCube. */
  readonly maxImages?: number;
  /** Say how the images were taken before the question (default), or ask at once. */
  readonly preface?: boolean;
}

export interface Question {
  readonly category: Category;
  /** View indices in prompt order. */
  readonly views: readonly number[];
  /** Whole text with the options in line, as in MindCube. */
  readonly text: string;
  readonly options: readonly string[];
  /** Letter of the right option. */
  readonly answer: string;
}

const LETTERS = ['A', 'B', 'C', 'D'] as const;
const NUMBERS = ['zero', 'one', 'two', 'three', 'four', 'five', 'six', 'seven', 'eight'] as const;
const SIDES = ['front', 'left', 'back', 'right'] as const;

export const numberWord = (count: number): string => NUMBERS[count] ?? String(count);

/** Keeps letters and closed answers equally frequent over a whole data set. */
export class AnswerBalance {
  private readonly counts = new Map<string, number>();

  /** One of the items that was taken least often under this topic; `random` breaks ties. */
  take<Item>(random: Random, topic: string, items: readonly Item[], key: (item: Item) => string) {
    const used = (item: Item): number => this.counts.get(`${topic}\n${key(item)}`) ?? 0;
    const least = Math.min(...items.map(used));
    const item = random.pick(items.filter((other) => used(other) === least));
    this.counts.set(`${topic}\n${key(item)}`, used(item) + 1);
    return item;
  }
}

/**
 * Draws questions about one scene. Questions are not repeated; there may be fewer than asked for when the scene does
 * not hold enough clear ones.
 * @param balance shared by all scenes of a data set.
 * @throws SpatialError CONFIG_INVALID for an unknown category or weights that leave nothing to ask.
 */
export const drawQuestions = (
  random: Random,
  scene: Scene,
  appearances: Appearances,
  count: number,
  balance: AnswerBalance,
  options: QuestionOptions = {},
): Question[] => {
  const weights = checkWeights(options.categories ?? equalWeights());
  const window = drawWindow(random, scene.cameras.length, options.maxImages ?? 4);
  const context = { scene, appearances, window };
  const pools = new Map(weights.map(([category]) => [category, ASKERS[category](context)]));
  const questions: Question[] = [];
  while (questions.length < count) {
    const category = drawCategory(
      random,
      weights.filter(([name]) => pools.get(name)!.length > 0),
    );
    if (category === undefined) return questions;
    const pool = pools.get(category)!;
    const candidate = drawCandidate(random, pool, balance);
    pools.set(
      category,
      pool.filter((other) => !isSameQuestion(candidate, other)),
    );
    questions.push(finish(random, scene, candidate, balance, options.preface ?? true));
  }
  return questions;
};

/** Another right answer to the same question counts as the same question. */
const isSameQuestion = (a: Candidate, b: Candidate): boolean =>
  a.text === b.text && a.views.join() === b.views.join();

const equalWeights = (): CategoryWeights =>
  Object.fromEntries(CATEGORIES.map((category) => [category, 1]));

export const checkWeights = (weights: CategoryWeights): (readonly [Category, number])[] => {
  const entries = Object.entries(weights) as [Category, number][];
  for (const [category, weight] of entries) {
    if (!CATEGORIES.includes(category)) throw unknownCategory(category);
    if (!(weight >= 0 && Number.isFinite(weight))) throw badWeights(`${category}: ${weight}`);
  }
  const positive = entries.filter(([, weight]) => weight > 0);
  if (positive.length === 0) throw badWeights('no category with a weight above 0');
  return positive;
};

const unknownCategory = (category: string): SpatialError => {
  const nearest = nearestName(CATEGORIES, category);
  return new SpatialError({
    code: 'CONFIG_INVALID',
    message: `categories: expected ${CATEGORIES.join(', ')}, found ${category}`,
    hint: nearest ? `Did you mean ${nearest}?` : 'Use one of the listed categories.',
  });
};

const badWeights = (found: string): SpatialError =>
  new SpatialError({
    code: 'CONFIG_INVALID',
    message: `categories: expected weights of at least 0, one of them above it, found ${found}`,
    hint: "Give weights such as { 'view-side': 2, 'camera-move': 1 }, or leave categories out for all of them.",
  });

/** Neighbouring views, at most `most` of them. */
const drawWindow = (random: Random, views: number, most: number): number[] => {
  const length = Math.min(views, most);
  const start = random.integer(views - length + 1);
  return Array.from({ length }, (_, k) => start + k);
};

const drawCategory = (
  random: Random,
  weights: readonly (readonly [Category, number])[],
): Category | undefined => {
  const total = weights.reduce((sum, [, weight]) => sum + weight, 0);
  let left = random.uniform(0, total);
  for (const [category, weight] of weights) {
    left -= weight;
    if (left < 0) return category;
  }
  return weights.at(-1)?.[0];
};

/** Prefers the answer that was right least often among questions of the same kind. */
const drawCandidate = (
  random: Random,
  pool: readonly Candidate[],
  balance: AnswerBalance,
): Candidate => {
  const { balance: topic } = pool[0]!;
  if (topic === undefined) return random.pick(pool);
  const answers = [...new Set(pool.map(({ answer }) => answer))];
  const answer = balance.take(random, topic, answers, (text) => text);
  return random.pick(pool.filter((candidate) => candidate.answer === answer));
};

const finish = (
  random: Random,
  scene: Scene,
  candidate: Candidate,
  balance: AnswerBalance,
  withPreface: boolean,
): Question => {
  const letters = LETTERS.slice(0, candidate.offered);
  const letter = balance.take(random, `letter of ${letters.length}`, letters, (text) => text);
  const options = random.shuffle(candidate.wrong).slice(0, letters.length - 1);
  options.splice(letters.indexOf(letter), 0, candidate.answer);
  const listed = options.map((option, k) => `${LETTERS[k]}. ${option}`).join(' ');
  const preface = withPreface ? prefaceOf(scene, candidate) : '';
  const text = withPreface ? candidate.text : capitalise(candidate.text);
  return {
    category: candidate.category,
    views: candidate.views,
    text: `${preface}${text} ${listed}`,
    options,
    answer: letter,
  };
};

const capitalise = (text: string): string => text.charAt(0).toUpperCase() + text.slice(1);

/** `image 1, 2, and 3`. */
const imageList = (count: number): string => {
  const numbers = Array.from({ length: count }, (_, k) => String(k + 1));
  return `image ${joinWords(numbers)}`;
};

const joinWords = (words: readonly string[]): string =>
  words.length < 3 ? words.join(' and ') : `${words.slice(0, -1).join(', ')}, and ${words.at(-1)!}`;

const prefaceOf = (scene: Scene, { preface, views }: Candidate): string => {
  if (preface === 'pair') return 'Based on these two views showing the same scene: ';
  const images = `these ${numberWord(views.length)} images`;
  if (scene.motion === 'rotation') return rotationPreface(scene, images, views.length);
  const shown =
    scene.motion === 'among' && scene.centre !== undefined
      ? `the ${scene.objects[scene.centre]!.name} from different viewpoints${sideList(scene, views)}, with each camera aligned with room walls and partially capturing the surroundings`
      : 'the same scene from different viewpoints';
  return `Based on ${images} (${imageList(views.length)}) showing ${shown}: `;
};

const rotationPreface = (scene: Scene, images: string, count: number): string => {
  const side = scene.stepDeg < 0 ? 'left' : 'right';
  const turn = `${Math.abs(scene.stepDeg)} degrees to the ${side}`;
  const these = images.charAt(0).toUpperCase() + images.slice(1);
  return `${these} (${imageList(count)}) show the same scene from different viewpoints. The camera stood in one spot and turned ${turn} each time. Based on ${images}: `;
};

/** Names of the four sides when the cameras stand on them. */
const sideList = ({ stepDeg }: Scene, views: readonly number[]): string =>
  stepDeg === 90 && views.length <= 4 && views[0] === 0
    ? ` (${joinWords(SIDES.slice(0, views.length))})`
    : '';
