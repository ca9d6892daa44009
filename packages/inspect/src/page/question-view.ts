import type { PageAnswer, PageFact, PageQuestion, PageRun } from '../report/format.js';
import { h } from './dom.js';
import type { DecodedScene } from './scene-source.js';
import { type Verdict, verdictOf } from './selection.js';

export const VERDICT_TEXT: Readonly<Record<Verdict, string>> = {
  right: 'right',
  partly: 'partly right',
  wrong: 'wrong',
  unknown: 'not scored',
};

export const VERDICT_MARK: Readonly<Record<Verdict, string>> = {
  right: '✓',
  partly: '◐',
  wrong: '✗',
  unknown: '–',
};

/** The question, its options, and what each run answered. */
export function questionView(question: PageQuestion, runs: readonly PageRun[]): HTMLElement {
  const text = h(
    'div',
    { class: 'question-text', tabindex: 0, role: 'group', 'aria-label': 'Question' },
    question.text,
  );
  return h(
    'section',
    { class: 'question' },
    question.text !== '' && text,
    question.options.length > 0 && options(question, runs),
    question.expected !== undefined &&
      question.options.length === 0 &&
      h('p', { class: 'expected' }, h('b', {}, 'Expected '), question.expected),
    h('div', { class: 'answers' }, ...question.answers.map((answer, i) => said(answer, runs, i))),
  );
}

function options({ options: all, expected, answers }: PageQuestion, runs: readonly PageRun[]) {
  const items = all.map(({ letter, text }) => {
    const isExpected = letter === expected;
    const chosen = answers.flatMap((answer, i) =>
      answer?.read === letter
        ? [h('span', { class: `badge ${verdictOf(answer)}` }, runLabel(runs, i))]
        : [],
    );
    return h(
      'li',
      { class: isExpected ? 'is-expected' : '' },
      h('b', {}, letter),
      h('span', { class: 'option-text' }, text),
      isExpected && h('span', { class: 'badge gold' }, 'right answer'),
      ...chosen,
    );
  });
  return h('ul', { class: 'options', 'aria-label': 'Options' }, ...items);
}

const runLabel = (runs: readonly PageRun[], run: number): string =>
  runs.length > 1 ? runs[run]!.name : 'answered';

function said(answer: PageAnswer | null, runs: readonly PageRun[], run: number): HTMLElement {
  const name = runs[run]!.name;
  if (answer === null)
    return h(
      'div',
      { class: 'answer' },
      h('h4', {}, name),
      h('p', { class: 'muted' }, 'not asked'),
    );
  const verdict = verdictOf(answer);
  return h(
    'div',
    { class: `answer ${verdict}` },
    h(
      'h4',
      {},
      name,
      verdict !== 'unknown' &&
        h('span', { class: 'verdict' }, `${VERDICT_MARK[verdict]} ${VERDICT_TEXT[verdict]}`),
    ),
    answer.text === ''
      ? h('p', { class: 'muted' }, '(nothing)')
      : h('p', { class: 'said' }, answer.text),
    answer.read !== undefined &&
      answer.read !== answer.text &&
      h(
        'p',
        { class: 'muted' },
        answer.read === null ? 'no answer could be read' : `read as ${answer.read}`,
      ),
  );
}

/** How far each run's maps are from the label. */
export function metricsView(scene: DecodedScene, runs: readonly PageRun[]): HTMLElement | null {
  const columns = scene.predictions.map((found) => found?.maps.metrics ?? []);
  const names = columns.find((facts) => facts.length > 0)?.map(({ name }) => name) ?? [];
  if (names.length === 0) return null;
  const value = (facts: readonly PageFact[], name: string) =>
    facts.find((fact) => fact.name === name)?.value ?? '';
  const rows = names.map((name) =>
    h(
      'tr',
      {},
      h('th', { scope: 'row' }, name),
      ...columns.map((facts) => h('td', { class: 'number' }, value(facts, name))),
    ),
  );
  const head = h(
    'tr',
    {},
    h('th', { scope: 'col' }, 'Beside the label'),
    ...runs.map(({ name }) => h('th', { scope: 'col', class: 'number' }, name)),
  );
  return h(
    'div',
    { class: 'scroll' },
    h('table', {}, h('thead', {}, head), h('tbody', {}, ...rows)),
  );
}
