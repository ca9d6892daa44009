/**
 * Exact one-sided binomial test: P(X ≥ successes) for X ~ B(trials, rate).
 * @returns 1 when `successes` is 0.
 */
export function binomialTail(successes: number, trials: number, rate: number): number {
  if (successes <= 0) return 1;
  if (rate <= 0) return 0;
  if (rate >= 1) return 1;
  let total = 0;
  for (let k = successes; k <= trials; k++) total += Math.exp(logProbability(k, trials, rate));
  return Math.min(1, total);
}

function logProbability(k: number, n: number, rate: number): number {
  return logChoose(n, k) + k * Math.log(rate) + (n - k) * Math.log1p(-rate);
}

function logChoose(n: number, k: number): number {
  return logFactorial(n) - logFactorial(k) - logFactorial(n - k);
}

const LOG_FACTORIALS = [0];

function logFactorial(n: number): number {
  for (let k = LOG_FACTORIALS.length; k <= n; k++) {
    LOG_FACTORIALS.push(LOG_FACTORIALS[k - 1]! + Math.log(k));
  }
  return LOG_FACTORIALS[n]!;
}
