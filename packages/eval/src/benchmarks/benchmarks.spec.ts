import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { type BenchmarkConformance, describeBenchmark } from '@spatialsv/core/testing';
import { scoreAnswer } from '../answers.js';
import plugin from '../plugin.js';
import {
  answered,
  benchmarkOf,
  folderOf,
  promptOf,
  read,
  root,
  touch,
} from './__fixtures__/reading.js';
import { spatial457 } from './spatial457.js';

describe('the plugin', () => {
  it('has the ten benchmarks of the paper, both CV-Benches, and own questions', () => {
    expect(plugin.contributions().map(({ id }) => id)).toEqual([
      'mindcube',
      'vsi-bench',
      'ego3d-bench',
      'spatial457',
      'viewspatial',
      '3dsrbench',
      'spbench',
      'topviewrs',
      'cvbench-video',
      'cv-bench',
      'mmbench',
      'jsonl',
    ]);
  });

  it.each(['mindcube', 'vsi-bench', 'viewspatial', '3dsrbench', 'cv-bench', 'mmbench'])(
    '%s says what was looked for in an empty folder',
    async (id) => {
      const empty = folderOf('empty');
      await expect(read(id, empty)).rejects.toMatchObject({
        code: 'FILE_MISSING',
        message: expect.stringMatching(/empty: no questions found \(looked for \S+/),
      });
    },
  );
});

describe('Ego3D-Bench', () => {
  it('puts the views at their places, and takes yes for the letter of that option', async () => {
    const folder = folderOf('ego3d');
    const images = {
      Front: 'a.jpg',
      Front_Left: 'b.jpg',
      Side_Left: 'c.jpg',
      Front_Right: 'd.jpg',
      Side_Right: 'e.jpg',
      Back: '',
    };
    touch(
      folder,
      ['a.jpg', 'b.jpg', 'c.jpg', 'd.jpg', 'e.jpg'].map((name) => `images/${name}`),
    );
    const views = ['Front', 'Front-left', 'Side-left', 'Front-right', 'Side-right'].map(
      (view) => `${view} view: <image>`,
    );
    const row = {
      idx: 1,
      source: 'waymo',
      category: 'Ego_Centric_Motion_Reasoning',
      question: `${views.join('\n')}\nIs it moving?`,
      options: ['A. yes', 'B. no'],
      answer: 'A',
      images,
    };
    const rows = [
      row,
      { ...row, idx: 2, category: 'Localization', options: ['A. front', 'B. back'], answer: 'B' },
      { ...row, idx: 3, category: 'Ego_Centric_Absolute_Distance', options: null, answer: '10' },
      { ...row, idx: 4, question: 'no places' },
    ];
    writeFileSync(join(folder, 'test.jsonl'), rows.map((each) => JSON.stringify(each)).join('\n'));
    const { questions, problems } = await read('ego3d-bench', folder, 'all');
    expect(problems).toEqual([
      expect.stringMatching(/test\.jsonl:4: expected a place for each of 5 views, found 0/),
    ]);
    expect(promptOf(questions[0]!)).toBe(
      `${views.join('\n')}\nIs it moving?\nA. yes\nB. no\nOutput the thinking process in <think> </think> and final answer (only the letter of the choice) in <answer> </answer> tags.`,
    );
    const names = questions[0]!.parts.flatMap((part) =>
      part.type === 'image' ? [part.image.name.slice(-5)] : [],
    );
    expect(names).toEqual(['a.jpg', 'b.jpg', 'c.jpg', 'd.jpg', 'e.jpg']);
    const says = ['<answer>Yes</answer>', '<answer>A</answer>', '<answer>13 m</answer>'];
    const { answers, report } = answered(
      'ego3d-bench',
      questions,
      ({ id }) => says[Number(id) - 1]!,
      'all',
    );
    expect(answers.map(({ extracted }) => extracted)).toEqual(['A', 'a', '13 m']);
    expect(report.overall.value).toBe(0.5);
    expect(report.columns.at(-1)).toMatchObject({ unit: 'error', value: 3 });
    expect((await read('ego3d-bench', folder)).questions).toHaveLength(2);
  });
});

describe('Spatial457', () => {
  it('asks between two texts, and compares leniently', async () => {
    const folder = folderOf('spatial457');
    touch(folder, ['images/superCLEVR_new_000001.png']);
    mkdirSync(join(folder, 'questions'), { recursive: true });
    const row = (question_index: number, answer: string) => ({
      image_filename: 'superCLEVR_new_000001.png',
      question: 'Is there a bus?',
      answer,
      question_index,
    });
    const rows = [row(1, 'True'), row(2, 'suv'), row(3, '3'), row(4, 'No')];
    writeFileSync(join(folder, 'questions/L3_2D_spatial.json'), JSON.stringify(rows));
    const { questions, problems } = await read('spatial457', folder);
    expect(problems).toEqual([]);
    expect(promptOf(questions[0]!)).toMatch(
      /^You are an intelligent chatbot .*2D projected camera view, and then determine the answer to the question\.\n<image>Is there a bus\?First, you should identify the related objects refered/,
    );
    const says = ["{'Answer': 'yes'}", "{'Answer': 'Sedan'}", "{'Answer': 'three'}", 'None'];
    const { answers } = answered(
      'spatial457',
      questions,
      ({ id }) => says[Number(id.split('/')[1]) - 1]!,
    );
    expect(answers.map(({ score }) => score)).toEqual([1, 1, 1, 1]);
    const strict = answered(
      'spatial457',
      questions,
      ({ id }) => says[Number(id.split('/')[1]) - 1]!,
      'kit-lme',
    );
    expect(strict.answers.map(({ score }) => score)).toEqual([1, 0, 0, 0]);
    expect(questions[0]!.category).toBe('L3_2d_spatial');
    const other = await read('spatial457', folder, 'lme');
    expect(promptOf(other.questions[0]!)).toMatch(
      /^<image>You are .*to the question\.\nIs there a bus\?\nFirst, .*objects referred in .*only be \(1\) a phrase, or \(2\) an integer/s,
    );
    expect(promptOf(questions[0]!)).toContain(
      '(1) a phrase chosen from the following options: Small, Large, Airliner',
    );
  });

  it.each([
    ['Yes', "Answer = 'TRUE'", 1],
    ['Yes', "{'answer': 1}", 1],
    ['3', '{"Answer": "03"}', 1],
    ['Suv', "{'Answer': 'Sedan'}", 0],
    ['No', 'None', 0],
  ])('by the other toolkit, %s is said by %s: %d', (value, raw, score) => {
    const question = { id: 'a', category: 'L4_occ', right: { kind: 'text', value } } as const;
    expect(scoreAnswer({ benchmark: spatial457, variant: 'lme' }, question, raw).score).toBe(score);
  });

  it('counts what does not follow the template by kind', () => {
    const question = {
      id: 'a',
      category: 'L4_occ',
      right: { kind: 'text', value: 'Yes' },
    } as const;
    const texts = ["{'Answer': 'Yes'}", 'Yes', '', "{'Answer': 'Ye", "{'Answer': Yes}", 'Red'];
    const countsOf = (variant: string) => {
      const answers = texts.map((raw) => ({
        ...{ raw },
        ...scoreAnswer({ benchmark: spatial457, variant }, question, raw),
      }));
      const { beside = [] } = spatial457.combine(answers, variant);
      return Object.fromEntries(beside.map(({ name, value, total }) => [name, [value, total]]));
    };
    expect(countsOf('kit')).toEqual({
      'format errors': [5, 6],
      'format: no text': [1, 6],
      'format: no answer key': [2, 6],
      'format: answer cut off': [1, 6],
      'format: answer in another form': [1, 6],
    });
    expect(countsOf('lme')).toMatchObject({ 'format errors': [3, 6], 'format: no text': [1, 6] });
    const guess = { question, extracted: 'Yes', score: 1 };
    expect(spatial457.combine([guess], 'kit').beside).toEqual([]);
  });
});

describe('conformance', () => {
  const row = (i: number) => ({
    id: `around_${i}`,
    question: 'Where? A. left B. right',
    images: ['a.png'],
    gt_answer: 'AB'[i % 2]!,
  });
  const lines = (folder: string, name: string, rows: readonly object[]) => {
    touch(folder, ['a.png', 's/a.png', 's/x/1.mp4', 'v.mp4']);
    writeFileSync(join(folder, name), rows.map((each) => JSON.stringify(each)).join('\n'));
    return folder;
  };
  /** Own questions have no folder whose file is known. */
  const at = (id: string, name: string, folder: string) =>
    id === 'jsonl' ? join(folder, name) : folder;
  const kept = (
    id: string,
    name: string,
    rows: readonly object[],
    broken: object,
    say?: BenchmarkConformance['say'],
  ) =>
    describe(id, () =>
      describeBenchmark(async () => ({
        benchmark: benchmarkOf(id),
        folder: at(id, name, lines(folderOf(`whole-${id}`), name, rows)),
        broken: {
          folder: at(id, name, lines(folderOf(`broken-${id}`), name, [rows[0]!, broken])),
          place: id === 'jsonl' ? `${name}: sample 'c'` : `${name}:2`,
        },
        ...(say !== undefined && { say }),
      })),
    );

  kept('mindcube', 'MindCube_tinybench.jsonl', [row(0), row(1)], { id: 'x' });
  const vsi = (i: number, type: string) => ({
    id: i,
    dataset: 's',
    scene_name: 'x/1',
    question_type: type,
    question: '?',
    ground_truth: 'A',
    options: ['A. left', 'B. right'],
  });
  kept(
    'vsi-bench',
    'test.jsonl',
    [
      vsi(0, 'object_rel_distance'),
      vsi(1, 'route_planning'),
      { ...vsi(2, 'room_size_estimation'), ground_truth: '12.5', options: null },
    ],
    vsi(0, 'route_planning'),
  );
  const view = (type: string) => ({
    question_type: type,
    image_path: ['a.png'],
    question: '?',
    choices: 'A. left\nB. right',
    answer: 'B. right',
  });
  kept(
    'viewspatial',
    'ViewSpatial-Bench.json',
    [
      view('Camera perspective - Relative Direction'),
      view('Person perspective - Relative Direction'),
    ],
    { ...view('x'), answer: '?' },
  );
  const ego = (idx: number, category: string) => ({
    idx,
    source: 'other',
    category,
    question: 'Front view: <image>\n?',
    options: ['A. yes', 'B. no'],
    answer: 'B',
    images: { Front: 'a.png' },
  });
  kept(
    'ego3d-bench',
    'test.jsonl',
    [
      ego(1, 'Localization'),
      ego(2, 'Travel_Time'),
      { ...ego(3, 'Object_Centric_Absolute_Distance'), answer: '7' },
    ],
    { ...ego(4, 'Localization'), images: { Front: 'none.png' } },
  );
  const spatial = (i: number) => ({
    image_filename: 'a.png',
    question: '?',
    answer: 'Red',
    question_index: i,
  });
  kept('spatial457', 'L1_single.json', [spatial(1), spatial(2)], {
    ...spatial(3),
    answer: undefined,
  });
  const video = (id: number) => ({
    id,
    task_type: 't',
    video_1: 'v.mp4',
    video_2: 'v.mp4',
    question: '?',
    options: ['A. x', 'B. y'],
    answer: 'A',
  });
  kept(
    'cvbench-video',
    'CVBench.json',
    [video(0), { ...video(1), options: ['Yes.', 'No.'], answer: 'No' }],
    { ...video(2), video_1: 'w.mp4' },
  );
  const sp = (id: number, type: string) => ({
    id,
    scene_name: 's',
    question_type: type,
    question: '?',
    ground_truth: 'B',
    options: ['A. x', 'B. y'],
    images: ['a.png'],
  });
  kept(
    'spbench',
    'SPBench-SI.jsonl',
    [sp(1, 'object_rel_distance'), { ...sp(2, 'object_abs_distance'), ground_truth: '1.4' }],
    sp(1, 'object_rel_distance'),
  );
  const own = (id: string) => ({
    id,
    images: ['a.png'],
    question: '?',
    options: { A: 'x', B: 'y' },
    answerLetter: 'A',
    answer: 'A',
  });
  kept('jsonl', 'own.jsonl', [own('a'), own('b')], { id: 'c', images: ['a.png'] });
});

describe('own questions', () => {
  it('may lie elsewhere than their images', async () => {
    const [folder, images] = [folderOf('own-rows'), folderOf('own-images')];
    touch(images, ['a.png']);
    const file = join(folder, 'own.jsonl');
    const image = join(images, 'a.png');
    const row = { id: 'a', images: [image], question: '?', options: { A: 'x', B: 'y' } };
    writeFileSync(file, JSON.stringify({ ...row, answer: 'A', answerLetter: 'A' }));
    expect(await read('jsonl', file)).toEqual({
      questions: [],
      problems: [expect.stringMatching(/own\.jsonl:1: expected images below/)],
    });
    const options = { variant: 'as written', onProblem: () => {}, imageRoot: images };
    const found = [];
    for await (const each of benchmarkOf('jsonl').questions(file, options)) found.push(each.id);
    expect(found).toEqual(['a']);
  });

  it('are a benchmark', async () => {
    const file = join(root, 'own.jsonl');
    touch(root, ['own.png']);
    const row = {
      id: 'a',
      images: ['own.png'],
      question: 'Where? A. left B. right',
      options: { A: 'left', B: 'right' },
      answer: 'B. right',
      answerLetter: 'B',
    };
    writeFileSync(
      file,
      [row, { id: 'b', images: ['own.png'] }, row].map((each) => JSON.stringify(each)).join('\n'),
    );
    const { questions, problems } = await read('jsonl', file);
    expect(questions.map(promptOf)).toEqual(['<image>Where? A. left B. right']);
    expect(problems).toEqual([
      expect.stringContaining("sample 'b': expected a question with options"),
      expect.stringContaining("sample 'a': this id was already used"),
    ]);
    expect(answered('jsonl', questions, () => 'the right').report.overall.correct).toBe(1);
  });
});
