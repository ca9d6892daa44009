import type { BenchmarkQuestionV1, PromptPartV1 } from '@spatialsv/core/spec';
import { askingOrder } from './asking-order.js';

const image = (source: string): PromptPartV1 => ({
  type: 'image',
  image: { name: source, source },
});
const text = (words: string): PromptPartV1 => ({ type: 'text', text: words });
const asked = (parts: readonly PromptPartV1[], system?: string): BenchmarkQuestionV1 => ({
  ...{ id: 'q', category: 'all', parts, maxNewTokens: 1 },
  ...(system !== undefined && { system }),
});

describe('askingOrder', () => {
  it('brings questions about the same views together, and views of the same shapes', () => {
    const sizes = new Map([
      ['a', { height: 2, width: 3 }],
      ['b', { height: 3, width: 2 }],
      ['c', { height: 2, width: 3 }],
    ]);
    const questions = [
      asked([image('a'), text('1')]),
      asked([image('b'), text('2')]),
      asked([image('c'), text('3')]),
      asked([text('4'), image('a'), text('5')]),
      asked([image('b'), text('6')]),
      asked([image('a'), text('7')], 'Be brief.'),
      asked([text('8')]),
    ];
    expect(askingOrder(questions, sizes)).toEqual([0, 3, 2, 5, 1, 4, 6]);
  });

  it('keeps the order of the file where nothing is shared', () => {
    const questions = ['a', 'b', 'c'].map((name) => asked([image(name)]));
    expect(askingOrder(questions)).toEqual([0, 1, 2]);
  });
});
