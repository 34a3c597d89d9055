-- Archives a page of the dead-letter stream, each entry once per dl_msg_id, and says how each stands (operations role).
SELECT entry_id, state FROM m10_recovery.reconcile_copies(%(dl_msg_ids)s::text[], %(payloads)s::jsonb[], %(reasons)s::text[], %(entry_ids)s::text[])
