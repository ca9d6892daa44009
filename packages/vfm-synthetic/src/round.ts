/** Rounds to decimals (millimetres by default): scene files stay short and say exactly what was rendered. */
export const round = (value: number, decimals = 3): number => {
  const rounded = Number(value.toFixed(decimals));
  return rounded === 0 ? 0 : rounded;
};
