-- Raises every epoch above whatever was given before a restore, and writes down who did (operations role).
WITH bumped AS MATERIALIZED (
    SELECT lock_name, epoch_before, epoch FROM m10_recovery.bump_epochs()
), noted AS (
    INSERT INTO m10_recovery.control_log (kind, part, change, changed_by, details)
    SELECT 'lock', lock_name, 'epoch raised', left(coalesce(%(by)s, session_user), 500), jsonb_build_object('before', epoch_before, 'after', epoch)
    FROM bumped
)
SELECT lock_name, epoch_before, epoch FROM bumped
