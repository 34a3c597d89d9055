-- Frees claims of the fallback queue that are older than they may be.
SELECT m10_recovery.release_stalled(%(stalled)s)
