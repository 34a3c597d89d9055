-- Gives the lock back.
SELECT m10_recovery.release_lease(%(name)s, %(holder)s, %(epoch)s)
