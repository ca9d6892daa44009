/** The tables below a scene. */
import type { PageData, PageFact, PageRun } from '../report/format.js';
import { h } from './dom.js';
import { byCategory } from './selection.js';

/** Mean scores of each run by category. */
export function accuracyTable({ questions, runs }: PageData): HTMLElement {
  const percent = (score: number | undefined) =>
    score === undefined ? '' : `${(100 * score).toFixed(1)} %`;
  const rows = byCategory(questions, runs.length).map(({ category, total, scores }) =>
    h(
      'tr',
      {},
      h('th', { scope: 'row' }, category),
      h('td', { class: 'number' }, String(total)),
      ...scores.map((score) => h('td', { class: 'number' }, percent(score))),
    ),
  );
  const head = h(
    'tr',
    {},
    h('th', { scope: 'col' }, 'Category'),
    h('th', { scope: 'col', class: 'number' }, 'Questions'),
    ...runs.map(({ name }) => h('th', { scope: 'col', class: 'number' }, name)),
  );
  return section('Mean scores', h('table', {}, h('thead', {}, head), h('tbody', {}, ...rows)));
}

/** Where a run comes from. */
export const runFacts = ({ name, facts }: PageRun): HTMLElement => section(name, factTable(facts));

const factTable = (facts: readonly PageFact[]): HTMLElement =>
  h(
    'table',
    {},
    h(
      'tbody',
      {},
      ...facts.map((fact) =>
        h('tr', {}, h('th', { scope: 'row' }, fact.name), h('td', {}, fact.value)),
      ),
    ),
  );

/** Links to files beside the page. */
export const fileTable = (files: PageData['files']): HTMLElement =>
  section(
    'Files beside this page',
    h(
      'table',
      {},
      h(
        'tbody',
        {},
        ...files.map(({ name, what }) =>
          h(
            'tr',
            {},
            h('td', {}, h('a', { href: encodeURI(name) }, name)),
            h('td', { class: 'muted' }, what),
          ),
        ),
      ),
    ),
  );

const section = (title: string, content: HTMLElement): HTMLElement =>
  h('section', {}, h('h3', {}, title), h('div', { class: 'scroll' }, content));
