-- Holds back the events of a destination.
SELECT m10_recovery.pause_destination(%(name)s, %(reason)s)
