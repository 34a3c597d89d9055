"""The test suite over many servers: `python -m m10actors.testing.matrix`, and `….matrix.containers` where Docker is.

Each server gets runs of pytest of its own, told by the environment what to run on (`m10actors.testing.stores`). At the
end stands a table: which servers, by their own word, what ran on each, and what could not be run and why.
"""
