-- A page of candidates, each as a list shows it, and how many there are if that is asked for.
SELECT total, (candidate).*
FROM m10_recovery.candidates_page(
    %(decision)s::text, %(execution_status)s::text, %(source)s::text, %(error_code)s::text, %(action)s::text, %(text)s::text,
    %(since)s::timestamptz, %(due)s::boolean, %(order)s::text, %(after)s::bigint, %(limit)s::int, %(offset)s::int, %(with_total)s::boolean)
