-- Whether the lock is still held in this epoch, and for how long from now.
SELECT m10_recovery.renew_lease(%(name)s, %(holder)s, %(epoch)s, %(ttl)s)
