import type { BenchmarkQuestionV1, PromptPartV1 } from '@spatialsv/core/spec';

/** Height and width of an image file, where they are known. */
export type ImageSizes = ReadonlyMap<string, { readonly height: number; readonly width: number }>;

/**
 * An order in which questions are answered fast: those about the same views one after the other, which are then encoded once;
 * and views of the same shapes, which share programs.
 * @returns places of the questions.
 */
export function askingOrder(
  questions: readonly BenchmarkQuestionV1[],
  sizes: ImageSizes = new Map(),
): readonly number[] {
  const shapes = new Groups<Groups<number[]>>(() => new Groups(() => []));
  for (const [index, question] of questions.entries()) {
    const media = question.parts.filter((part) => part.type !== 'text');
    const shape = media.map((part) => shapeOf(part, sizes)).join();
    const views = JSON.stringify([question.system ?? null, ...media.map(nameOf)]);
    shapes.of(shape).of(views).push(index);
  }
  return shapes.all.flatMap((shape) => shape.all.flat());
}

/** Values by key, in the order in which the keys came first. */
class Groups<Value> {
  readonly #values = new Map<string, Value>();
  readonly #make: () => Value;

  constructor(make: () => Value) {
    this.#make = make;
  }

  get all(): readonly Value[] {
    return [...this.#values.values()];
  }

  of(key: string): Value {
    const value = this.#values.get(key) ?? this.#make();
    this.#values.set(key, value);
    return value;
  }
}

function shapeOf(part: PromptPartV1, sizes: ImageSizes): string {
  if (part.type === 'text') return '';
  if (part.type === 'video') return `video:${part.video.frames}`;
  const { source } = part.image;
  const size = typeof source === 'string' ? sizes.get(source) : undefined;
  return size === undefined ? 'image' : `${size.height}x${size.width}`;
}

function nameOf(part: PromptPartV1): string {
  if (part.type === 'text') return '';
  if (part.type === 'video') return `${part.video.path}:${part.video.frames}`;
  const { name, source } = part.image;
  return typeof source === 'string' ? source : name;
}
