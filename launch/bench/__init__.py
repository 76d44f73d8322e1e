"""How fast it is here.

The whole (`e2e`), a learner update (`learner`), the cores and their kernels alone (`core`), and the
driver with many workers (`scale`).
"""
