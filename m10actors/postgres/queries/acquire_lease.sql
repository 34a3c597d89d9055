-- The epoch of a lock that is free, expired or one's own; NULL while another holds it.
SELECT m10_recovery.acquire_lease(%(name)s, %(holder)s, %(ttl)s)
