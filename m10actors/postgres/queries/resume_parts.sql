-- Ends pauses (operations role); the parts that were paused.
SELECT * FROM m10_recovery.resume_parts(%(parts)s::text[], %(by)s, %(reason)s)
