import type { PageData, PageQuestion } from '../report/format.js';
import { h } from './dom.js';
import { VERDICT_MARK, VERDICT_TEXT } from './question-view.js';
import { EVERYTHING, ORDERS, RESULTS, type Selection, select, verdictOf } from './selection.js';

type Texts = Readonly<Record<string, string>>;

/** @param names of the runs. */
const resultTexts = ([first, second]: readonly string[]): Texts => ({
  all: 'all questions',
  wrong: second === undefined ? 'wrong' : 'wrong in one or both',
  right: second === undefined ? 'right' : 'right in both',
  disagree: 'answered differently',
  first: `only ${first} is right`,
  second: `only ${second} is right`,
});

const orderTexts = ([first, second]: readonly string[]): Texts => ({
  asked: 'as asked',
  error: `largest depth error${second === undefined ? '' : ` of ${first}`}`,
  'error-second': `largest depth error of ${second}`,
  category: 'by category',
  disagreement: 'disagreement',
});

const NEEDS_TWO = new Set<string>(['disagree', 'first', 'second', 'error-second', 'disagreement']);

/** The questions with their filters; tells when another one is chosen. */
export class ListView {
  readonly element: HTMLElement;
  readonly #data: PageData;
  readonly #list = h('ul', {
    role: 'listbox',
    class: 'list',
    tabindex: 0,
    'aria-label': 'Questions',
  });
  readonly #count = h('p', { class: 'muted', role: 'status' });
  readonly #onChoose: (place: number) => void;
  #selection: Selection = EVERYTHING;
  #shown: number[] = [];
  #chosen = -1;

  constructor(data: PageData, onChoose: (place: number) => void) {
    this.#data = data;
    this.#onChoose = onChoose;
    this.element = h(
      'nav',
      { class: 'side', 'aria-label': 'Questions' },
      this.#filters(),
      this.#count,
      this.#list,
    );
    this.#list.addEventListener('keydown', (event) => this.#key(event));
    this.#list.addEventListener('click', (event) => {
      const item = (event.target as Element).closest<HTMLElement>('[role=option]');
      if (item !== null) this.choose(Number(item.dataset['place']));
    });
    this.#refresh();
  }

  get chosen(): number {
    return this.#chosen;
  }

  /** Places of the questions that are shown. */
  get shown(): readonly number[] {
    return this.#shown;
  }

  choose(place: number): void {
    this.#chosen = place;
    for (const item of this.#list.querySelectorAll('[aria-selected=true]'))
      item.setAttribute('aria-selected', 'false');
    const item = this.#list.querySelector(`#q-${place}`);
    item?.setAttribute('aria-selected', 'true');
    item?.scrollIntoView({ block: 'nearest' });
    if (item) this.#list.setAttribute('aria-activedescendant', item.id);
    this.#onChoose(place);
  }

  /** The question so many places further in the list. */
  move(by: number): void {
    if (this.#shown.length === 0) return;
    const at = this.#shown.indexOf(this.#chosen);
    const to = Math.min(this.#shown.length - 1, Math.max(0, at < 0 ? 0 : at + by));
    if (this.#shown[to] !== this.#chosen) this.choose(this.#shown[to]!);
  }

  #key(event: KeyboardEvent): void {
    const steps: Record<string, number> = {
      ArrowDown: 1,
      ArrowUp: -1,
      PageDown: 10,
      PageUp: -10,
      Home: -this.#shown.length,
      End: this.#shown.length,
    };
    const by = steps[event.key];
    if (by === undefined) return;
    event.preventDefault();
    event.stopPropagation();
    this.move(by);
  }

  #filters(): HTMLElement {
    const names = this.#data.runs.map(({ name }) => name);
    const two = names.length > 1;
    const offered = (names: readonly string[]) =>
      names.filter((name) => two || !NEEDS_TWO.has(name));
    const categories = [...new Set(this.#data.questions.map(({ category }) => category))];
    const hasErrors = this.#data.questions.some(({ answers }) =>
      answers.some((answer) => answer?.depthRmse !== undefined),
    );
    const orders = offered(ORDERS).filter((name) => hasErrors || !name.startsWith('error'));
    const search = h('input', { type: 'search', placeholder: 'Search', 'aria-label': 'Search' });
    search.addEventListener('input', () => this.#change({ words: search.value }));
    return h(
      'div',
      { class: 'filters' },
      search,
      choice('Show', offered(RESULTS), resultTexts(names), (result) =>
        this.#change({ result } as Selection),
      ),
      categories.length > 1 &&
        choice('Category', ['', ...categories], { '': 'all' }, (category) =>
          this.#change({ category }),
        ),
      choice('Sort', orders, orderTexts(names), (order) => this.#change({ order } as Selection)),
    );
  }

  #change(change: Partial<Selection>): void {
    this.#selection = { ...this.#selection, ...change };
    this.#refresh();
    if (!this.#shown.includes(this.#chosen) && this.#shown.length > 0) this.choose(this.#shown[0]!);
  }

  #refresh(): void {
    const { questions } = this.#data;
    this.#shown = select(questions, this.#selection);
    this.#count.textContent = `${this.#shown.length} of ${questions.length}`;
    this.#list.replaceChildren(
      ...this.#shown.map((place) => entry(questions[place]!, place, place === this.#chosen)),
    );
  }
}

function choice(
  name: string,
  values: readonly string[],
  texts: Readonly<Record<string, string>>,
  onChange: (value: string) => void,
): HTMLElement {
  const options = values.map((value) => h('option', { value }, texts[value] ?? value));
  const element = h('select', {}, ...options);
  element.addEventListener('change', () => onChange(element.value));
  return h('label', {}, h('span', {}, name), element);
}

function entry(question: PageQuestion, place: number, isChosen: boolean): HTMLElement {
  const marks = question.answers.map((answer) => {
    const verdict = verdictOf(answer);
    return h(
      'span',
      { class: `mark ${verdict}`, role: 'img', 'aria-label': VERDICT_TEXT[verdict] },
      VERDICT_MARK[verdict],
    );
  });
  const errors = question.answers.flatMap((answer) => answer?.depthRmse?.toFixed(2) ?? []);
  const details = [
    question.category,
    ...(errors.length > 0 ? [`depth ${errors.join(' / ')}`] : []),
  ];
  return h(
    'li',
    {
      role: 'option',
      id: `q-${place}`,
      'data-place': place,
      'aria-selected': isChosen ? 'true' : 'false',
    },
    h('span', { class: 'marks' }, ...marks),
    h('span', { class: 'names' }, h('b', {}, question.id), h('small', {}, details.join(' · '))),
  );
}
