-- How a replay stands (operations role).
SELECT * FROM m10_recovery.tally_replay(%(run)s, %(window)s)
