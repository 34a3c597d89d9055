-- Stores a new API token (operations role).
INSERT INTO m10_recovery.api_token (name, hash, scopes) VALUES (%(name)s, %(hash)s, %(scopes)s) ON CONFLICT (name) DO NOTHING
