#!/usr/bin/python3
"""Two figures from a result file alone, as a start for an analysis of yours:
where the time of a layer goes, and how times scatter over iterations.

    results/analyse.py RESULT.h5 FIGURE.pdf

Needs xarray, a netCDF-4 engine (h5netcdf or netCDF4) and matplotlib.
"""
import sys

import matplotlib

matplotlib.use("Agg")  # no display needed
import matplotlib.pyplot as plt
import numpy as np
import xarray as xr


def clock_that_counts(path):
    """Wall times are no result where ranks shared cores."""
    shared = xr.open_dataset(path, group="provenance").oversubscribed
    return "gpu" if bool((shared > 0).any()) else "wall"


def phases(timing, clock):
    """Median over iterations of every phase's slowest rank, s per layer."""
    times = timing.exposed if clock == "gpu" else timing.wall
    per_layer = times.max("rank").sum("layer") / timing.sizes["layer"]
    done = timing.layer_time_wall.notnull().all("layer")
    return per_layer.where(done).median("iteration")


def draw_phases(axes, table, clock):
    left = np.zeros(table.sizes["strategy"])
    for phase in table.phase.values:
        width = 1e3 * table.sel(phase=phase).values
        if width.any():
            axes.barh(table.strategy.values, width, left=left, label=phase)
            left += width
    axes.invert_yaxis()
    axes.set_xlabel(f"time of a layer, ms ({clock} clock)")
    axes.legend(ncols=2, fontsize="small")


def draw_ecdf(axes, samples, clock):
    for name in samples.strategy.values:
        x = np.sort(samples.sel(strategy=name).dropna("iteration").values)
        axes.step(1e3 * x, np.arange(1, len(x) + 1) / len(x), where="post",
                  label=name)
    axes.set_xlabel(f"time of a layer, ms ({clock} clock)")
    axes.set_ylabel("share of iterations")
    axes.legend(fontsize="small")


def main(path, target):
    clock = clock_that_counts(path)
    timing = xr.open_dataset(path, group="timing")
    table = phases(timing, clock)
    samples = timing[f"layer_time_{clock}"].mean("layer", skipna=False)
    figure, axes = plt.subplots(1, 2, figsize=(11, 4), layout="constrained")
    draw_phases(axes[0], table, clock)
    draw_ecdf(axes[1], samples, clock)
    figure.savefig(target)
    print((1e3 * table).to_pandas().round(4).to_string())


if __name__ == "__main__":
    if len(sys.argv) != 3:
        sys.exit(__doc__)
    main(*sys.argv[1:])
