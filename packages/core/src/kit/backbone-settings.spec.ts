import { z } from 'zod';
import { parseBackboneSettings, refusePixelBudget, refuseSettings } from './backbone-settings.js';

const schema = z.strictObject({ maxTiles: z.int().min(1).default(1) });

it('fills in defaults and names unknown settings', () => {
  expect(parseBackboneSettings('f', schema, {})).toEqual({ maxTiles: 1 });
  expect(parseBackboneSettings('f', schema, { settings: { maxTiles: 4 } })).toEqual({
    maxTiles: 4,
  });
  const parse = () => parseBackboneSettings('f', schema, { settings: { maxTile: 4 } });
  expect(parse).toThrow(
    expect.objectContaining({ code: 'CONFIG_INVALID', hint: 'It takes maxTiles.' }),
  );
});

it('refuses settings where a family has none', () => {
  refuseSettings('f', {});
  expect(() => refuseSettings('f', { settings: { a: 1 } })).toThrow(/settings of the backbone f/);
});

it('refuses a pixel budget where views have one size', () => {
  refusePixelBudget('f', {}, '');
  expect(() => refusePixelBudget('f', { maxPixels: 9 }, 'Set maxTiles.')).toThrow(
    expect.objectContaining({ code: 'CONFIG_INVALID', hint: 'Leave it out. Set maxTiles.' }),
  );
});
