-- Ends an API token (operations role).
UPDATE m10_recovery.api_token SET revoked_at = clock_timestamp()
FROM (SELECT set_config('m10_recovery.acting', %(by)s, true)) me
WHERE name = %(name)s AND revoked_at IS NULL
