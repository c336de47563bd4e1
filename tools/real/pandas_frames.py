"""Frames of numbers, texts, categories and dates; grouped, merged, pivoted."""

import os
import time

import numpy
import pandas

random = numpy.random.default_rng(1)
rows = 200000
frame = pandas.DataFrame({
    "number": random.integers(0, 1000, rows), "real": random.random(rows),
    "text": ["text-%d" % (i % 5000) for i in range(rows)],
    "boxed": pandas.Series([(i, str(i)) for i in range(rows)], dtype=object),
    "kind": pandas.Categorical(random.choice(["a", "b", "c"], rows)),
    "when": pandas.date_range("2026-01-01", periods=rows, freq="min")})
grouped = frame.groupby("text")["real"].agg(["mean", "max"])
merged = frame.merge(grouped, left_on="text", right_index=True)
pivot = merged.pivot_table(index="kind", columns=merged["when"].dt.month, values="real", observed=True)
kept = [group for _, group in frame.groupby("number")]
open(os.environ["REAL_READY"], "w").close()
while True:
    time.sleep(1000)
