"""Vectors for correlations, the trend test and the tails of distributions, from SciPy and statsmodels.

usage: python make_correlations.py > packages/eval/src/statistics/__golden__/correlations.json
"""

import json

import numpy as np
from scipy import stats
from statsmodels.stats.contingency_tables import Table


def pairs(name, x, y):
    pearson, spearman = stats.pearsonr(x, y), stats.spearmanr(x, y)
    interval = pearson.confidence_interval(0.95) if len(x) > 3 else None
    return {
        "name": name,
        "x": [float(v) for v in x],
        "y": [float(v) for v in y],
        "pearson": {"coefficient": float(pearson.statistic), "pValue": float(pearson.pvalue)},
        "spearman": {"coefficient": float(spearman.statistic), "pValue": float(spearman.pvalue)},
        "interval": interval and [float(interval.low), float(interval.high)],
        "ranks": stats.rankdata(x).tolist(),
    }


def trend(successes, trials):
    """statsmodels has the linear-by-linear test with the variance of the permutations, N - 1 in place of N."""
    successes, trials = np.array(successes), np.array(trials)
    table = np.stack([trials - successes, successes], 1)
    found = Table(table).test_ordinal_association(row_scores=np.arange(1, len(trials) + 1), col_scores=np.array([0, 1]))
    n = trials.sum()
    z = found.zscore * np.sqrt(n / (n - 1))
    return {"successes": successes.tolist(), "trials": trials.tolist(), "z": float(z), "pValue": float(2 * stats.norm.sf(abs(z)))}


def main():
    random = np.random.default_rng(3)
    x = random.standard_normal(24)
    paired = [
        pairs("eight models", [0.91, 0.84, 0.8, 0.71, 0.69, 0.6, 0.52, 0.5], [0.31, 0.36, 0.34, 0.5, 0.55, 0.54, 0.66, 0.71]),
        pairs("ties", [1, 2, 2, 3, 3, 3, 4, 5], [2, 2, 1, 4, 4, 3, 3, 5]),
        pairs("noise", x, random.standard_normal(24)),
        pairs("a strong slope", x, 3 * x + 0.2 * random.standard_normal(24)),
        pairs("three", [1.0, 2.0, 4.0], [1.0, 3.0, 2.5]),
        pairs("many", (large := random.standard_normal(400)), 0.1 * large + random.standard_normal(400)),
    ]
    trends = [
        trend([83, 90, 129, 70], [86, 93, 136, 82]),  # the example of R's prop.trend.test: X-squared 8.2249, p 0.004132
        trend([3, 5, 9, 14], [25, 25, 25, 25]),
        trend([130, 160, 171, 190], [300, 300, 300, 300]),
        trend([5, 5, 5], [10, 10, 10]),
        trend([20, 4, 1], [21, 8, 30]),
    ]
    students = [
        {"t": t, "degrees": d, "pValue": float(2 * stats.t.sf(t, d))}
        for t in [0.01, 0.5, 1.0, 2.3, 7.0, 40.0]
        for d in [1, 2, 6, 30, 500, 10000]
        if (t, d) != (40.0, 10000)  # below the smallest double
    ]
    normals = [{"z": z, "pValue": float(2 * stats.norm.sf(z))} for z in [0.0, 1e-3, 0.5, 1.2, 1.7, 1.8, 3.0, 6.0, 12.0, 30.0]]
    print(json.dumps({"pairs": paired, "trends": trends, "students": students, "normals": normals}))


main()
