"""Replaying dead letters, the pure part: how fast, in which steps, when it stops, and what a person can do. Stdlib
only.
"""
