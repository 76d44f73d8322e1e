"""How fast it is here: the whole (`e2e`), and the cores and their kernels alone (`core`)."""
