-- Calls back events that wait behind one that is closed (operations role).
SELECT m10_recovery.release_waiting_events()
