import type { Cell, Figure } from './figure.js';

/** An axis: what of a row it shows. */
export interface PlotAxis {
  /** Column of the rows. */
  readonly field: string;
  /** With its unit. */
  readonly title: string;
  /** Of the numbers, as d3 writes it: `.2f`, `.0%`. */
  readonly format?: string;
  /** Whether zero belongs to the axis. Default false. */
  readonly zero?: boolean;
  /** Whether large values stand left or below. Default false. */
  readonly reverse?: boolean;
  /** How steps are written, degrees. Default 0: upright. */
  readonly labelAngle?: number;
}

interface PlotInput {
  readonly name: string;
  readonly title: string;
  readonly subtitle?: string | readonly string[];
  readonly rows: readonly Readonly<Record<string, Cell>>[];
  readonly x: PlotAxis;
  readonly y: PlotAxis & {
    /** Columns with the ends of the interval of a value. */
    readonly interval?: readonly [string, string];
  };
}

export interface ScatterInput extends PlotInput {
  /** Column that gives points their colour. */
  readonly color?: string;
  /** Column that gives points their shape. */
  readonly shape?: string;
  /** Column whose text stands beside a point. */
  readonly label?: string;
  /** Column whose equal values are joined by a line, in the order of x. */
  readonly join?: string;
  /** Whether the straight line of least squares is drawn. Default false. */
  readonly trendLine?: boolean;
}

const WIDTH_PX = 480;
const HEIGHT_PX = 340;
const POINT_AREA_PX = 90;

/** Points in a plane, such as accuracy over an error, one for each model. */
export function scatterPlot(input: ScatterInput): Figure {
  const { x, y, color, shape, label, join, trendLine, rows } = input;
  const encoding = {
    x: numberChannel(x),
    y: numberChannel(y),
    ...(color !== undefined && { color: nominal(color) }),
  };
  const layers = [
    trendLine === true && {
      mark: { type: 'line', color: '#999', strokeDash: [5, 4] },
      transform: [{ regression: y.field, on: x.field }],
      encoding: { x: numberChannel(x), y: numberChannel(y) },
    },
    join !== undefined && {
      mark: { type: 'line', opacity: 0.4 },
      encoding: { ...encoding, detail: { field: join } },
    },
    y.interval !== undefined && {
      mark: { type: 'rule', opacity: 0.6 },
      encoding: { ...encoding, ...ends(y, y.interval) },
    },
    {
      mark: { type: 'point', filled: true, size: POINT_AREA_PX, opacity: 1 },
      encoding: { ...encoding, ...(shape !== undefined && { shape: nominal(shape) }) },
    },
    label !== undefined && {
      mark: { type: 'text', align: 'left', dx: 8, dy: -6, fontSize: 11, color: '#333' },
      encoding: { x: numberChannel(x), y: numberChannel(y), text: { field: label } },
    },
  ];
  return {
    name: input.name,
    rows,
    spec: {
      title: titleOf(input),
      width: WIDTH_PX,
      height: HEIGHT_PX,
      layer: layers.filter((layer) => layer !== false),
    } as Figure['spec'],
  };
}

export interface SeriesInput extends PlotInput {
  /** Column that makes a panel of its own of each value. */
  readonly panel?: string;
  /** Column that makes a line of its own of each value, with a colour. */
  readonly color?: string;
  /** Column that is true where a row belongs to the line; every row does where absent. */
  readonly joined?: string;
}

const PANEL_WIDTH_PX = 220;
const PANEL_HEIGHT_PX = 180;

/** Values over ordered steps, such as accuracy over bins: points with their intervals, joined; a panel for each group. */
export function seriesPlot(input: SeriesInput): Figure {
  const { name, panel, rows } = input;
  const [width, height] =
    panel === undefined ? [WIDTH_PX, HEIGHT_PX] : [PANEL_WIDTH_PX, PANEL_HEIGHT_PX];
  const drawing = { width, height, layer: seriesLayers(input) };
  const spec = panel === undefined ? drawing : inPanels(panel, distinct(rows, panel), drawing);
  return { name, rows, spec: { title: titleOf(input), ...spec } as Figure['spec'] };
}

function seriesLayers({ x, y, color, joined, rows }: SeriesInput): readonly object[] {
  const encoding = {
    x: {
      field: x.field,
      type: 'ordinal',
      title: x.title,
      sort: distinct(rows, x.field),
      axis: { labelAngle: x.labelAngle ?? 0 },
    },
    y: numberChannel(y),
    ...(color !== undefined && { color: nominal(color) }),
  };
  // Beside each other, where intervals would cover each other. A line with offsets would fall into single points.
  const isBeside = color !== undefined && distinct(rows, color).length > 1;
  const beside = { ...encoding, ...(isBeside && { xOffset: nominal(color) }) };
  const layers = [
    {
      mark: { type: 'line', opacity: 0.7 },
      encoding,
      ...(joined !== undefined && { transform: [{ filter: { field: joined, equal: true } }] }),
    },
    y.interval !== undefined && {
      mark: { type: 'rule', opacity: 0.6 },
      encoding: { ...beside, ...ends(y, y.interval) },
    },
    { mark: { type: 'point', filled: true, size: 60, opacity: 1 }, encoding: beside },
  ];
  return layers.filter((layer) => layer !== false);
}

const inPanels = (field: string, panels: readonly Cell[], spec: object) => ({
  facet: { field, type: 'nominal', title: null, sort: panels },
  columns: columnsFor(panels.length),
  spec,
});

/** Panels in a row: as many as leave no gap, four at most; three where every number does. */
const columnsFor = (panels: number): number =>
  panels < 4 ? Math.max(1, panels) : ([4, 3, 2].find((columns) => panels % columns === 0) ?? 3);

/** Panels stand in the order of the rows; without a list they would be sorted. */
const distinct = (rows: PlotInput['rows'], field: string): readonly Cell[] => [
  ...new Set(rows.map((row) => row[field]!)),
];

const titleOf = ({ title, subtitle }: PlotInput) => ({
  text: title,
  ...(subtitle !== undefined && { subtitle }),
});

const numberChannel = ({ field, title, format, zero = false, reverse = false }: PlotAxis) => ({
  field,
  type: 'quantitative',
  title,
  // An axis that begins at zero has nothing below it.
  scale: { zero, reverse, nice: true, ...(!zero && { padding: 12 }) },
  ...(format !== undefined && { axis: { format } }),
});

/** Titles of the ends would be added to that of the axis. */
const ends = (axis: PlotAxis, [low, high]: readonly [string, string]) => ({
  y: { ...numberChannel(axis), field: low },
  y2: { field: high },
});

const nominal = (field: string) => ({ field, type: 'nominal', title: field, sort: null });
