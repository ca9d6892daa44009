/** P(|T| ≥ |t|) for Student's t with so many degrees of freedom. */
export const studentTwoSided = (t: number, degrees: number): number =>
  incompleteBeta(degrees / (degrees + t * t), degrees / 2, 0.5);

/** P(|Z| ≥ |z|) for a standard normal Z. */
export const normalTwoSided = (z: number): number => upperGammaHalf((z * z) / 2);

const PRECISION = 1e-16;
const MOST_TERMS = 10_000;
/** Keeps Lentz's fractions away from zero. */
const TINY = 1e-300;

/**
 * Regularised incomplete beta function I_x(a, b), 0 ≤ x ≤ 1, by its continued fraction (modified Lentz).
 * Source: DLMF 8.17.22; Press et al., Numerical Recipes, 6.4.
 */
function incompleteBeta(x: number, a: number, b: number): number {
  if (x <= 0) return 0;
  if (x >= 1) return 1;
  // The fraction converges fast on this side of its middle.
  if (x > (a + 1) / (a + b + 2)) return 1 - incompleteBeta(1 - x, b, a);
  const front = Math.exp(a * Math.log(x) + b * Math.log1p(-x) - logBeta(a, b));
  return (front / a) * betaFraction(x, a, b);
}

function betaFraction(x: number, a: number, b: number): number {
  const term = (m: number): number => {
    const k = m >> 1;
    if (m % 2 === 0) return (k * (b - k) * x) / ((a + m - 1) * (a + m));
    return (-(a + k) * (a + b + k) * x) / ((a + m - 1) * (a + m));
  };
  return continuedFraction(term);
}

/** 1 / (1 + d₁ / (1 + d₂ / (1 + …))) */
function continuedFraction(term: (m: number) => number): number {
  const away = (value: number) => (Math.abs(value) < TINY ? TINY : value);
  let [c, d] = [1, 0];
  let value = 1;
  for (let m = 1; m < MOST_TERMS; m++) {
    const numerator = term(m);
    d = 1 / away(1 + numerator * d);
    c = away(1 + numerator / c);
    const factor = c * d;
    value *= factor;
    if (Math.abs(factor - 1) < PRECISION) break;
  }
  return 1 / value;
}

const logBeta = (a: number, b: number): number => logGamma(a) + logGamma(b) - logGamma(a + b);

/** Coefficients of Lanczos' approximation for g = 7. */
const LANCZOS = [
  0.999_999_999_999_809_93, 676.520_368_121_885_1, -1259.139_216_722_402_8, 771.323_428_777_653_13,
  -176.615_029_162_140_59, 12.507_343_278_686_905, -0.138_571_095_265_720_12,
  9.984_369_578_019_571_6e-6, 1.505_632_735_149_311_6e-7,
] as const;

/** ln Γ(x) for x > 0, relative error below 1e-14. Source: Lanczos (1964); coefficients by Godfrey. */
function logGamma(x: number): number {
  if (x < 0.5) return Math.log(Math.PI / Math.sin(Math.PI * x)) - logGamma(1 - x);
  const z = x - 1;
  const t = z + 7.5;
  const sum = LANCZOS.reduce((total, c, i) => (i === 0 ? c : total + c / (z + i)), 0);
  return 0.5 * Math.log(2 * Math.PI) + (z + 0.5) * Math.log(t) - t + Math.log(sum);
}

/** Upper regularised incomplete gamma function Q(½, x), which is erfc(√x). Source: DLMF 8.7.1 and 8.9.2. */
function upperGammaHalf(x: number): number {
  if (x <= 0) return 1;
  const front = Math.exp(0.5 * Math.log(x) - x - logGamma(0.5));
  return x < 1.5 ? 1 - front * gammaSeries(x) : front * gammaFraction(x);
}

function gammaSeries(x: number): number {
  let [term, sum] = [2, 2];
  for (let n = 1; n < MOST_TERMS && term > PRECISION * sum; n++) {
    term *= x / (n + 0.5);
    sum += term;
  }
  return sum;
}

/** 1/(x + ½ − (1·½)/(x + 2½ − (2·1½)/(x + 4½ − …))), by modified Lentz. */
function gammaFraction(x: number): number {
  let b = x + 0.5;
  let c = 1 / TINY;
  let d = 1 / b;
  let value = d;
  for (let n = 1; n < MOST_TERMS; n++) {
    const a = -n * (n - 0.5);
    b += 2;
    d = 1 / (a * d + b);
    c = b + a / c;
    value *= c * d;
    if (Math.abs(c * d - 1) < PRECISION) break;
  }
  return value;
}
