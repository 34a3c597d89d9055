-- Stores a new API token (operations role).
INSERT INTO m10_recovery.api_token (name, hash, scopes)
SELECT %(name)s, %(hash)s, %(scopes)s FROM (SELECT set_config('m10_recovery.acting', %(by)s, true)) me
ON CONFLICT (name) DO NOTHING
