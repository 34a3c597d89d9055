-- Frees what dead workers held.
SELECT locks, events, works, evaluations FROM m10_recovery.take_over(%(dead)s::text[])
