"""What the engine does beside the limit of the same work, measured in turn: `python -m bench` prints the table.

A file for each workload; `measure.Workload` says what one is.
"""
