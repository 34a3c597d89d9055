-- Which of these messages are dead letters (operations role).
SELECT * FROM m10_recovery.dead_among(%(names)s::text[])
