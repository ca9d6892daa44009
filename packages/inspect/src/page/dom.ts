type Child = Node | string | null | undefined | false;
type Attributes = Readonly<Record<string, string | number | boolean | undefined>>;

/** An element; strings become text nodes, so that no text is ever read as markup. */
export function h<Tag extends keyof HTMLElementTagNameMap>(
  tag: Tag,
  attributes: Attributes = {},
  ...children: readonly Child[]
): HTMLElementTagNameMap[Tag] {
  const element = document.createElement(tag);
  setAttributes(element, attributes);
  element.append(...children.filter((child) => child instanceof Node || typeof child === 'string'));
  return element;
}

const SVG = 'http://www.w3.org/2000/svg';

/** The same for drawings. */
export function svg<Tag extends keyof SVGElementTagNameMap>(
  tag: Tag,
  attributes: Attributes = {},
  ...children: readonly Node[]
): SVGElementTagNameMap[Tag] {
  const element = document.createElementNS(SVG, tag);
  setAttributes(element, attributes);
  element.append(...children);
  return element;
}

function setAttributes(element: Element, attributes: Attributes): void {
  for (const [name, value] of Object.entries(attributes)) {
    if (value === undefined || value === false) continue;
    element.setAttribute(name, value === true ? '' : String(value));
  }
}

/** A button; its name is its text unless a label is given. */
export function button(
  text: string,
  onClick: () => void,
  attributes: Attributes = {},
): HTMLButtonElement {
  const element = h('button', { type: 'button', ...attributes }, text);
  element.addEventListener('click', onClick);
  return element;
}

/** Colours of views, in every map and frustum of theirs. */
export const VIEW_COLORS = [
  '#2f6fd0',
  '#d9822b',
  '#2a9d6f',
  '#c2449b',
  '#8a6fd8',
  '#b59b00',
  '#17a2b8',
  '#a0522d',
];

export const viewColor = (view: number): string => VIEW_COLORS[view % VIEW_COLORS.length]!;

/** A slider that says its value. @param onInput gives the text of a value. */
export function range(
  name: string,
  min: number,
  max: number,
  step: number,
  value: number,
  onInput: (value: number) => string,
): HTMLElement {
  const input = h('input', { type: 'range', min, max, step, value, 'aria-label': name });
  const output = h('output');
  const say = () => {
    output.textContent = onInput(Number(input.value));
    input.setAttribute('aria-valuetext', output.textContent);
  };
  input.addEventListener('input', say);
  output.textContent = '';
  queueMicrotask(say);
  return h('label', { class: 'range' }, h('span', {}, name), input, output);
}
