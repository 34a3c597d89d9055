-- Makes the partitions that the next ids of a table need; how many (operations role).
SELECT m10_recovery.add_partitions(%(table)s, %(least)s)
