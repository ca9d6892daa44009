"""Vectors for the statistics of evaluations, from SciPy and statsmodels.

usage: python make_statistics.py > packages/eval/src/statistics/__golden__/statistics.json
"""

import json

import numpy as np
import statsmodels.api as sm
from scipy import stats
from statsmodels.stats.contingency_tables import mcnemar
from statsmodels.stats.proportion import proportion_confint


def clustered(values, clusters):
    groups = np.unique(clusters, return_inverse=True)[1]
    fit = sm.OLS(values, np.ones(len(values))).fit(cov_type="cluster", cov_kwds={"groups": groups})
    return float(fit.bse[0])


def main():
    random = np.random.default_rng(7)
    cases = []
    for size, scenes in [(20, 4), (60, 7), (13, 13)]:
        values = random.integers(0, 2, size).astype(float)
        clusters = random.integers(0, scenes, size)
        cases.append({"values": values.tolist(), "clusters": [f"s{c}" for c in clusters], "error": clustered(values, clusters)})
    wilson = [
        {"correct": int(k), "total": int(n), "interval": [float(x) for x in proportion_confint(k, n, method="wilson")]}
        for k, n in [(0, 5), (5, 5), (3, 7), (414, 1200), (1, 1000)]
    ]
    pairs = [
        {"lost": int(b), "gained": int(c), "p": float(mcnemar([[10, b], [c, 10]], exact=True).pvalue)}
        for b, c in [(0, 1), (3, 9), (10, 10), (0, 12), (57, 23)]
    ]
    binomial = [
        {"successes": int(k), "trials": int(n), "rate": p, "tail": float(stats.binom.sf(k - 1, n, p))}
        for k, n, p in [(0, 4, 0.5), (7, 10, 0.3), (414, 1200, 0.343), (1200, 1200, 0.9)]
    ]
    print(json.dumps({"clustered": cases, "wilson": wilson, "mcnemar": pairs, "binomial": binomial}))


main()
