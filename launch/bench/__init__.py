"""Measure speed: the whole (`e2e`), a learner update, cores and kernels, and the driver (`scale`).

Also what a GPU needs (`check_gpu`, `registers`), and memory over hours (`soak`).
"""
