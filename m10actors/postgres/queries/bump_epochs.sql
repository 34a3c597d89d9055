-- Raises every epoch above whatever was given before a restore (operations role).
SELECT lock_name, epoch_before, epoch FROM m10_recovery.bump_epochs()
