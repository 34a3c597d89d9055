-- Who holds each lock now (operations role).
SELECT lock_name, holder_id FROM m10_recovery.distributed_locks WHERE expires_at > clock_timestamp()
