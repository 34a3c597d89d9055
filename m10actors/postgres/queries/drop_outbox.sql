-- Drops one partition of the outbox that is past its retention, if there is one; how many events (operations role).
SELECT m10_recovery.drop_events(%(older_than)s, %(limit)s)
