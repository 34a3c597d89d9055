"""The domain: what a failure is, what is decided about it, when something is tried again.

Values and pure functions; stdlib only.
"""
