import { cpSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { BenchmarkQuestionV1, ScoredAnswerV1 } from '@spatialsv/core/spec';
import { tablePercentage } from '../statistics/rounding.js';
import {
  answered,
  benchmarkOf,
  describeReal,
  folderOf,
  promptOf,
  REAL,
  read,
  right,
  root,
  touch,
} from './__fixtures__/reading.js';

describeReal('MindCube, real rows', () => {
  const folder = join(root, 'mindcube');

  beforeAll(() => {
    const text = readFileSync(join(REAL, 'mindcube/tinybench_rows_official_keys.jsonl'), 'utf8');
    const rows = text
      .trim()
      .split('\n')
      .map((line) => JSON.parse(line));
    touch(
      folder,
      rows.flatMap(({ images }) => images),
    );
    mkdirSync(join(folder, 'raw'), { recursive: true });
    writeFileSync(join(folder, 'raw/MindCube_tinybench.jsonl'), text);
  });

  it('are asked with the official prompt', async () => {
    const { questions, problems } = await read('mindcube', folder);
    expect([questions.length, problems]).toEqual([20, []]);
    const [first] = questions as [BenchmarkQuestionV1];
    expect(promptOf(first)).toMatch(
      /^<image><image><image>\[Task\]\nYour task is to analyze[\s\S]*\n\[Question\]\nThese three images/,
    );
    expect(first).toMatchObject({
      id: 'rotation_group000_q3_6',
      category: 'rotation',
      right: { value: 'A' },
    });
    expect(first.options!.map(({ text }) => text)).toEqual([
      'Door',
      'Two chairs',
      'Chair and white board',
    ]);
    const plain = await read('mindcube', folder, 'plain');
    expect(promptOf(plain.questions[0]!)).toMatch(/^<image><image><image>These three images/);
  });

  it('are right where the letter is', async () => {
    const { questions } = await read('mindcube', folder);
    const { report } = answered(
      'mindcube',
      questions,
      (question) => `<answer>${right(question)}. x</answer>`,
    );
    expect(report.overall).toMatchObject({ correct: 20, total: 20 });
    expect(report.columns.map(({ name }) => name)).toEqual(['rotation', 'among', 'around']);
  });

  it('that are broken are reported by line and left out', async () => {
    const broken = folderOf('mindcube-broken');
    const row = {
      id: 'around_1',
      question: 'Where? A. left B. right',
      images: ['a.png'],
      gt_answer: 'A',
    };
    touch(broken, ['a.png']);
    const rows = [
      row,
      row,
      { ...row, id: 'x', gt_answer: 'C' },
      { ...row, id: 'y', images: ['no.png'] },
      { ...row, id: 'z', images: ['../a.png'] },
      { id: 'w' },
    ];
    writeFileSync(
      join(broken, 'q.jsonl'),
      `${rows.map((each) => JSON.stringify(each)).join('\n')}\n`,
    );
    const { questions, problems } = await read('mindcube', join(broken, 'q.jsonl'));
    expect(questions.map(({ id }) => id)).toEqual(['around_1']);
    expect(problems).toEqual([
      expect.stringMatching(/q\.jsonl:2: id 'around_1' was already used at .*q\.jsonl:1/),
      expect.stringMatching(/q\.jsonl:3: gt_answer 'C' is none of the options/),
      expect.stringMatching(/q\.jsonl:4: 'no\.png' is not there/),
      expect.stringMatching(/q\.jsonl:5: path '\.\.\/a\.png' leaves the folder/),
      expect.stringMatching(/q\.jsonl:6: column 'question': expected a text, found nothing/),
    ]);
  });
});

describe('figures of the paper', () => {
  /** Right answers by category, from the printed cells of Table 8; the printed Overall. */
  const MINDCUBE = { rotation: 200, among: 600, around: 400 };
  const VSI = {
    object_rel_direction_hard: 373,
    object_rel_direction_medium: 378,
    object_rel_direction_easy: 217,
    object_rel_distance: 710,
    obj_appearance_order: 618,
    route_planning: 194,
  };

  const combined = (
    id: string,
    totals: Readonly<Record<string, number>>,
    correct: readonly number[],
  ) => {
    const answers = Object.entries(totals).flatMap(([category, total], column) =>
      Array.from(
        { length: total },
        (_, i): ScoredAnswerV1 => ({
          question: { id: `${category}${i}`, category, right: { kind: 'letter', value: 'A' } },
          extracted: 'A',
          score: i < correct[column]! ? 1 : 0,
        }),
      ),
    );
    const { overall, columns } = benchmarkOf(id).combine(answers, benchmarkOf(id).variants[0]!);
    return [...columns, overall].map((column) => tablePercentage(column.correct!, column.total));
  };

  it.each([
    ['Chance (Frequency)', [69, 209, 133], '34.3'],
    ['Qwen2.5-VL-3B', [69, 216, 129], '34.5'],
    ['Qwen2.5-VL-3B+Text.', [67, 298, 299], '55.3'],
    ['Qwen2.5-VL-3B+SpatialSV', [72, 337, 338], '62.3'],
    ['InternVL3-8B+SpatialSV', [77, 463, 344], '73.7'],
    ['LLaVA-NV-7B+SpatialSV', [79, 371, 329], '64.9'],
  ])('MindCube: %s', (_name, correct, overall) => {
    expect(combined('mindcube', MINDCUBE, correct).at(-1)).toBe(overall);
  });

  it.each([
    ['Chance (Frequency)', [94, 127, 109, 178, 156, 57], '29.0'],
    ['Qwen2.5-VL-3B', [128, 126, 63, 225, 140, 54], '29.6'],
    ['Qwen2.5-VL-3B+SpatialSV', [129, 143, 75, 238, 144, 72], '32.2'],
    ['Qwen2.5-VL-7B+SpatialSV', [110, 133, 105, 264, 186, 83], '35.4'],
    ['InternVL3-8B+SpatialSV', [114, 141, 110, 257, 205, 83], '36.6'],
  ])('VSI-Bench: %s', (_name, correct, overall) => {
    expect(combined('vsi-bench', VSI, correct).at(-1)).toBe(overall);
  });

  it('a cell is rounded twice', () => {
    expect(tablePercentage(102, 373)).toBe('27.4');
  });
});

describe('VSI-Bench', () => {
  const folder = join(root, 'vsi');
  const rows = [
    {
      id: 0,
      dataset: 'arkitscenes',
      scene_name: '1',
      question_type: 'object_counting',
      question: 'How many table(s) are in this room?',
      ground_truth: '4',
      options: null,
      pruned: false,
    },
    {
      id: 1,
      dataset: 'scannet',
      scene_name: '2',
      question_type: 'object_rel_direction_easy',
      question: 'left or right?',
      ground_truth: 'A',
      options: ['A. left', 'B. right'],
    },
    {
      id: 2,
      dataset: 'scannet',
      scene_name: '2',
      question_type: 'object_rel_direction_hard',
      question: 'where?',
      ground_truth: 'B',
      options: ['A. front-left', 'B. front-right', 'C. back-left', 'D. back-right'],
    },
    {
      id: 3,
      dataset: 'scannet',
      scene_name: '2',
      question_type: 'object_rel_distance',
      question: 'closest?',
      ground_truth: 'C',
      options: ['A. a', 'B. b', 'C. c', 'D. d'],
    },
  ];

  beforeAll(() => {
    touch(folder, ['arkitscenes/1.mp4', 'scannet/2.mp4']);
    writeFileSync(join(folder, 'test.jsonl'), rows.map((row) => JSON.stringify(row)).join('\n'));
  });

  it('asks the choices over frames of the video', async () => {
    const { questions } = await read('vsi-bench', folder);
    expect(questions.map(({ id }) => id)).toEqual(['1', '2', '3']);
    expect(promptOf(questions[0]!)).toBe(
      "<video 32>These are frames of a video.\nleft or right?\nOptions:\nA. left\nB. right\nAnswer with the option's letter from the given choices directly.",
    );
    expect(promptOf((await read('vsi-bench', folder, 'paper', 8)).questions[0]!)).toContain(
      '<video 8>',
    );
  });

  it('officially asks numbers too; tasks count alike, levels of direction as one', async () => {
    const { questions } = await read('vsi-bench', folder, 'official');
    expect(promptOf(questions[0]!)).toBe(
      '<video 32>These are frames of a video.\nHow many table(s) are in this room?\nPlease answer the question using a single word or phrase.',
    );
    const says: Readonly<Record<string, string>> = { 0: '4.4', 1: 'A.', 2: 'A', 3: 'c' };
    const { answers, report } = answered('vsi-bench', questions, ({ id }) => says[id]!, 'official');
    expect(answers.map(({ score }) => score)).toEqual([0.9, 1, 0, 1]);
    expect(report.overall.value).toBeCloseTo((0.9 + 0.5 + 1) / 3, 12);
  });
});

describeReal('ViewSpatial-Bench, real rows', () => {
  const folder = join(root, 'viewspatial');

  beforeAll(() => {
    const rows = JSON.parse(readFileSync(join(REAL, 'viewspatial/rows.json'), 'utf8'));
    // The archives begin below the folder that the rows name.
    touch(
      folder,
      rows.flatMap((row: { image_path: string[] }) =>
        row.image_path.map((name) => name.replace('ViewSpatial-Bench/', '')),
      ),
    );
    cpSync(join(REAL, 'viewspatial/rows.json'), join(folder, 'ViewSpatial-Bench.json'));
  });

  it('are asked as the authors do, and as the kits do', async () => {
    const { questions, problems } = await read('viewspatial', folder);
    expect([questions.length, problems]).toEqual([18, []]);
    expect(promptOf(questions[0]!)).toBe(
      '<image>Could you tell me the location of the counter in comparison to the refrigerator?A. right\nB. front-up\nC. back-left\nD. front\nReply only to the corresponding option.\nAnswer:',
    );
    const kit = await read('viewspatial', folder, 'kit');
    expect(promptOf(kit.questions[0]!)).toMatch(/^<image>Question: Could .*\nChoices: A\. right\n/);
    const { report } = answered('viewspatial', questions, right);
    expect(report.overall).toMatchObject({ correct: 18, total: 18 });
    expect(report.beside!.map(({ name }) => name)).toEqual([
      'Camera perspective',
      'Person perspective',
    ]);
  });
});

describeReal('cross-video CVBench, real rows', () => {
  const folder = join(root, 'cvbench');

  beforeAll(() => {
    const rows: Record<string, string | null>[] = JSON.parse(
      readFileSync(join(REAL, 'cvbench_cross_video/rows.json'), 'utf8'),
    );
    touch(
      folder,
      rows.flatMap((row) =>
        ['video_1', 'video_2', 'video_3', 'video_4'].flatMap((name) => row[name] ?? []),
      ),
    );
    cpSync(join(REAL, 'cvbench_cross_video/rows.json'), join(folder, 'CVBench.json'));
  });

  it('are asked for a letter or a word', async () => {
    const { questions, problems } = await read('cvbench-video', folder);
    expect([questions.length, problems]).toEqual([19, []]);
    expect(promptOf(questions[0]!)).toBe(
      "<video 8><video 8>Select the best answer to the following yes-no question based on the listed all videos. Respond with only the word (Yes or No) of the correct option.\nDid both videos feature a team successfully scoring a decisive goal or point during the match's closing moments?\nYes.\nNo.\nAnswer with the option's word (YES or NO) from the given choices directly.",
    );
    expect(promptOf(questions[1]!)).toContain(
      'Respond with only the letter (A, B, C, or D) of the correct option.\nWhat color',
    );
    const { report } = answered('cvbench-video', questions, right);
    expect(report.overall).toMatchObject({ correct: 19, total: 19 });
  });
});

describeReal('MMBench, real rows', () => {
  const file = join(REAL, 'mmbench/samples_en_mmbench_schema.tsv');

  it('hold their images, and options over several lines', async () => {
    const { questions, problems } = await read('mmbench', file);
    expect([questions.length, problems]).toEqual([19, []]);
    const [first] = questions as [BenchmarkQuestionV1];
    expect(promptOf(first)).toMatch(
      /^<image>Question: What is correct Python code to generate the content of the image\?\nOptions:\nA\. for x in range\(6\):\n {5}print\(x\)/,
    );
    const image = first.parts[0]!;
    const bytes = await (image as { image: { source: () => Promise<Uint8Array> } }).image.source();
    const jpeg = readFileSync(join(REAL, 'mmbench/images/1.jpg'));
    expect(Buffer.compare(Buffer.from(bytes), jpeg)).toBe(0);
    expect(first.details).toEqual({ ability: 'LR' });
  });

  it('are rotated where the file has no copies, and right only together', async () => {
    const once = await read('mmbench', file);
    const { questions } = await read('mmbench', file, 'circular');
    const copies = once.questions.reduce((sum, { options }) => sum + options!.length, 0);
    expect(questions).toHaveLength(copies);
    const all = answered('mmbench', questions, right, 'circular');
    expect(all.report.overall).toMatchObject({ correct: 19, total: 19 });
    const constant = answered('mmbench', questions, () => 'A', 'circular');
    expect(constant.report.overall).toMatchObject({ correct: 0, total: 19 });
    for (const { group, options, right: truth } of questions) {
      const base = once.questions.find((question) => question.group === group)!;
      const textOf = (list: typeof options, letter: string) =>
        list!.find((option) => option.letter === letter)!.text;
      expect(textOf(options, truth!.value)).toBe(textOf(base.options, base.right!.value));
    }
  });
});

describe('tables of the public kit', () => {
  const png =
    'iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR4nGNgYGBgAAAABQABh6FO1AAAAABJRU5ErkJggg==';
  const table = (
    name: string,
    columns: readonly string[],
    rows: readonly (readonly string[])[],
  ): string => {
    const file = join(root, name);
    writeFileSync(file, [columns, ...rows].map((row) => row.join('\t')).join('\n'));
    return file;
  };

  it('3DSRBench counts questions, flips and rotations', async () => {
    const columns = ['index', 'qid', 'question', 'A', 'B', 'C', 'D', 'answer', 'category', 'image'];
    const row = (i: number, qid: string, answer: string) => [
      String(i),
      qid,
      'Which?',
      'lamp',
      'chair',
      '',
      'nan',
      answer,
      'height_higher',
      png,
    ];
    const file = table('3dsr.tsv', columns, [
      row(0, 'VIN6MS3J', 'A'),
      row(1, 'VIN6MS3J-1', 'B'),
      row(2, 'VIN6MS3J-flip', 'A'),
      row(3, 'VIN6MS3J-flip-1', 'B'),
      row(4, 'ABCDEFGH', 'A'),
    ]);
    const { questions, problems } = await read('3dsrbench', file);
    expect(problems).toEqual([]);
    expect(questions[0]!.options!.map(({ letter }) => letter)).toEqual(['A', 'B']);
    const { report } = answered('3dsrbench', questions, () => 'A');
    expect(report.overall).toMatchObject({ correct: 2, total: 2 });
    const figures = report.beside!.map(({ name, correct, total }) => [name, correct, total]);
    expect(figures).toEqual([
      ['vanilla', 3, 5],
      ['flip', 2, 3],
      ['circular', 1, 3],
      ['flip and circular', 1, 2],
    ]);
    expect(answered('3dsrbench', questions, () => 'A', 'official').report.overall).toMatchObject({
      correct: 1,
      total: 2,
    });
  });

  it('TopViewRS counts shared words beside letters', async () => {
    const columns = [
      'index',
      'question',
      'A',
      'B',
      'C',
      'D',
      'answer',
      'category',
      'split',
      'image',
    ];
    const file = table('TopViewRS.tsv', columns, [
      [
        '0',
        'Which room?',
        'upper left',
        'lower left',
        'x',
        'y',
        'A',
        'top_view_localization',
        'realistic',
        png,
      ],
      [
        '1',
        'Which room?',
        'upper left',
        'lower left',
        'x',
        'y',
        'B',
        'top_view_localization',
        'semantic',
        '0',
      ],
    ]);
    const { questions, problems } = await read('topviewrs', file);
    expect([questions.length, problems]).toEqual([2, []]);
    const { report } = answered('topviewrs', questions, () => 'B');
    expect(report.overall).toMatchObject({ correct: 1, total: 2 });
    expect(report.beside!.at(-1)).toMatchObject({ name: 'partial match', value: 0.75 });
  });

  it('of TopViewRS are read from the files of its authors, whose fields are named', async () => {
    const folder = folderOf('topviewrs-json');
    const row = { ask: 'Which room?', choices: ['A. upper left', 'B. lower left'], kind: 'static' };
    const write = (split: string, rows: readonly object[]) =>
      writeFileSync(join(folder, `released_${split}_datasets.json`), JSON.stringify(rows));
    write('realistic', [
      { ...row, right: 'lower left', map: 'maps/a.png' },
      { ...row, right: 'A', map: 'maps/gone.png' },
      { ...row, choices: 'x', right: 'A', map: 'maps/a.png' },
    ]);
    write('semantic', [{ ...row, right: 'A', map: 'maps/a.png' }]);
    touch(folder, ['maps/a.png']);
    await expect(read('topviewrs', folder)).rejects.toThrow(
      /names of the fields question, options, .*first row has ask, choices, kind, right, map/,
    );
    const fields = {
      question: 'ask',
      options: 'choices',
      answer: 'right',
      image: 'map',
      task: 'kind',
    };
    const problems: string[] = [];
    const found: BenchmarkQuestionV1[] = [];
    const onProblem = ({ message }: Error) => problems.push(message);
    const options = { variant: 'kit', fields, onProblem };
    for await (const each of benchmarkOf('topviewrs').questions(folder, options)) found.push(each);
    expect(found.map(({ id, right, options: given }) => [id, right?.value, given?.length])).toEqual(
      [
        ['realistic/1', 'B', 2],
        ['semantic/1', 'A', 2],
      ],
    );
    expect(problems).toEqual([
      expect.stringMatching(/gone\.png/),
      expect.stringMatching(/field 'choices': expected a list of 2 to 6 options/),
    ]);
  });

  it('name rows whose image is cut, missing or no answer', async () => {
    const columns = ['index', 'question', 'A', 'B', 'answer', 'category', 'image'];
    const row = (index: string, answer: string, image: string) => [
      index,
      'What?',
      'a',
      'b',
      answer,
      'ocr',
      image,
    ];
    const file = table('MMBench.tsv', columns, [
      row('0', 'A', png),
      row('1', 'A', `${png}!`),
      row('2', 'A', '99'),
      row('3', 'C', png),
      row('4', '', png),
    ]);
    const { questions, problems } = await read('mmbench', file);
    expect(questions.map(({ id, right: truth }) => [id, truth?.value])).toEqual([
      ['0', 'A'],
      ['4', undefined],
    ]);
    expect(problems).toEqual([
      expect.stringMatching(/:3: not an image in base64/),
      expect.stringMatching(
        /:4: column 'image': expected base64 or the index of an earlier row, found '99'/,
      ),
      expect.stringMatching(/:5: column 'answer': expected one of A, B, found 'C'/),
    ]);
  });
});
