/** Middle value, or the mean of the two middle ones; NaN of nothing. */
export const median = (values: Float64Array): number => {
  const sorted = values.slice().sort();
  const middle = Math.floor(sorted.length / 2);
  return sorted.length % 2 === 1 ? sorted[middle]! : (sorted[middle - 1]! + sorted[middle]!) / 2;
};
