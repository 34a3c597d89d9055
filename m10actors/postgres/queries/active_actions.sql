-- The actions that may be selected.
SELECT * FROM m10_recovery.active_actions()
