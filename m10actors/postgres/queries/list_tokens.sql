-- All API tokens, without their hashes (operations role).
SELECT name, scopes, created_at, revoked_at FROM m10_recovery.api_token ORDER BY id
