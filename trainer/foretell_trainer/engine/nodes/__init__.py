"""The fitted models as nodes of a graph. MUST compute what their `predict` does; export proves it.

A node costs a single row more than its arithmetic, so what is alike is done at once: everything
that one row looks up by category in one table, everything linear in one product.
"""
