-- Every action, active or not, with what came of it.
SELECT * FROM m10_recovery.listed_actions()
