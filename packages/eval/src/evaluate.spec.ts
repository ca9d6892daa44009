import { appendFileSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { SampleV1 } from '@spatialsv/core';
import { evaluate, PREDICTIONS_FILE } from './evaluate.js';

const samples: SampleV1[] = ['A', 'B', 'A'].map((letter, index) => ({
  id: `q${index}`,
  images: [],
  question: '?',
  options: { A: 'x', B: 'y' },
  answer: letter,
  answerLetter: letter,
}));

const extract = (_sample: SampleV1, text: string) => (text === '' ? undefined : text);

describe('evaluate', () => {
  it('continues an interrupted log, cutting a half-written line', async () => {
    const out = mkdtempSync(join(tmpdir(), 'evaluate-'));
    const asked: string[] = [];
    const answer = async (sample: SampleV1) => {
      asked.push(sample.id);
      return sample.id === 'q2' ? '' : 'A';
    };
    await evaluate({ samples: samples.slice(0, 2), answer, extract, out });
    appendFileSync(join(out, PREDICTIONS_FILE), '{"id":"q2","ra');
    const predictions = await evaluate({ samples, answer, extract, out });
    expect(asked).toEqual(['q0', 'q1', 'q2']);
    expect(predictions.map((row) => row.extracted)).toEqual(['A', 'A', null]);
    const lines = readFileSync(join(out, PREDICTIONS_FILE), 'utf8').trim().split('\n');
    expect(lines.map((line) => JSON.parse(line).id)).toEqual(['q0', 'q1', 'q2']);
    rmSync(out, { recursive: true });
  });

  it('refuses a sample without a question to score', async () => {
    const unlabelled = [{ id: 'x', images: [] }];
    await expect(
      evaluate({ samples: unlabelled, answer: async () => '', extract }),
    ).rejects.toMatchObject({ code: 'DATA_INVALID' });
  });
});
