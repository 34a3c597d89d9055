-- Writes the periods that SQL itself needs.
SELECT m10_recovery.configure(%(settings)s::jsonb)
