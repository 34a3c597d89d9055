-- The name and scopes of a live API token.
SELECT name, scopes FROM m10_recovery.find_token(%(hash)s)
