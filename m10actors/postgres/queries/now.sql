-- The server's clock (operations role).
SELECT clock_timestamp()
