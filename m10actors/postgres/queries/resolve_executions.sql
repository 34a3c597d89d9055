-- Ends executions of which nothing was heard, and corrects rates by failures that came back (operations role).
SELECT adopted, unknown, came_back FROM m10_recovery.resolve_executions(%(by)s, %(limit)s)
