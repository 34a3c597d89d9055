-- What an evaluation of a candidate, or of a failure that was not reported, would have to go by.
SELECT * FROM m10_recovery.preview_input(
    %(candidate_id)s::bigint, %(match_id)s::uuid, %(signature)s::text, %(code)s::text, %(fingerprint)s::text)
