"""Masks what varies between repeats of one failure: numbers, ids, addresses, paths, hosts, times, sizes, quoted values.

A message is masked by itself, without memory of others and without a list of known templates, so the result depends on
neither order nor history. One mask, `#`, stands for all kinds: an id that happens to have only digits is hexadecimal
all the same. Every repetition is possessive and every pattern begins where a word or a sign begins, so that the time
is linear in the message, whatever it contains.
"""

import re
from typing import Final

_STRAIGHT: Final = str.maketrans("“”„«»‘’", '"""""\'\'')
_TELLING: Final = (
    "action|cause|class|code|description|detail|details|err|error|errors|event|exception|kind|level|message|method|msg|op"
    "|operation|phase|reason|result|stage|state|status|step|type"
)
"""Names whose value says what failed, not on what: it is kept, whatever stands before the name in the same word."""

_PART: Final = "argument|attribute|because|field|function|invoke|method|module named|property|reading"
"""Words after which a runtime quotes a part of the program, which tells two bugs apart: has no attribute 'x'."""

_IS_TELLING: Final = "|".join(f"(?<={name}.)" for name in _TELLING.split("|"))
_IS_PART: Final = "|".join(rf"(?<={re.escape(words)}\ .)" for words in _PART.split("|"))
_VALUE: Final = re.compile(
    rf"""
      (?P<telling> ["'=:] (?:{_IS_TELLING}) (?: (?<=[=:]) | \s?+ [=:] ) \s?+ ["']?+ | ["'`] (?:{_IS_PART}) )
    | (?P<before>=) (?<=[\w\])"'`]=) (?![=>~])  # user=root, tag="a b", ws=x{{1}}
      (?: "[^"]*+" | '[^']*+'
        | ["'`]*+ [^\s,;&"'`(){{}}\[\]<>]*+ (?: \{{[^{{}}]*+\}} | \[[^\[\]]*+\] | \([^()]*+\) | <[^<>]*+> )?+ )
    | " (?<![\w"]") (?: [/~][^"]*+ | [a-z]:\\[^"]*+ | [^"\s]++ )?+ " (?![\w"]|\s?+:)  # "x17", but no "key": of JSON
    | ['`] (?<![\w'`].) (?: [/~][^'`]*+ | [a-z]:\\[^'`]*+ | [^'`\s]++ )?+ ['`] (?![\w'`]|\s?+:\s)
    """,
    re.VERBOSE,
)
_PATH: Final = re.compile(
    r"""
      :// [^\s"'<>()\[\]{},;]*+                           # of a URL: its scheme stays
    | / (?<![\w/\\\#)\]}-]/) [\w.@%+~$*\#:=?&!/-]*+       # /var/log/a.log
    | \\ (?<!\\.) \\ [\w.$-]++ \\ [^\s"'<>|,;]*+          # \\server\share
    """,
    re.VERBOSE,
)
_TOP_LEVEL: Final = (
    "arpa|biz|cloud|com|corp|dev|edu|example|gov|home|info|int|internal|intranet|invalid|io|lan|local|localdomain|mil|net"
    "|org|svc|test|ae|ar|at|au|be|br|ca|ch|cl|cn|cz|de|dk|es|eu|fi|fr|gr|hk|hu|ie|il|it|jp|kr|mx|nl|no|nz|pt|ro|ru|se|sg"
    "|sk|tr|tw|ua|uk|us|vn|za"
)
"""Ends of host names; none that is also the end of a source file."""

_PLACE: Final = re.compile(
    rf"""
    [^\W_] (?<![\w.+$@/\\~\#-].)
    (?: [\w.-]*+ (?: \+[\w.+-]*+ )?+ @ (?![\da-f]++(?!\w)) [\w-]++ (?:\.[\w-]++)*+     # an address, no Object@1a2b
      | [\w.-]*+ / [\w.-]++ / [\w./-]*+                                                # src/app/main.c
      | [\w-]*+ \. (?=[\w\#]) (?: [\w-]++ \. (?=[\w\#]) )*+ (?:{_TOP_LEVEL}) (?![\w\#-])  # db.example.com
      | (?<=l) ocalhost (?![\w\#-])
      | (?<=[a-z]) :\\ (?: [^\s"'<>|,;]++ | \s(?=[^\s"'<>|,;\\]++\\) )*+               # C:\Program Files\a.dll
    )
    """,
    re.VERBOSE,
)
_MONTH: Final = (
    r"(?:(?<=j)an(?:uary)?|(?<=f)eb(?:ruary)?|(?<=m)ar(?:ch)?|(?<=a)pr(?:il)?|(?<=m)ay|(?<=j)une?|(?<=j)uly?"
    r"|(?<=a)ug(?:ust)?|(?<=s)ep(?:t(?:ember)?)?|(?<=o)ct(?:ober)?|(?<=n)ov(?:ember)?|(?<=d)ec(?:ember)?)"
)
_DAY: Final = r"(?:(?<=m)on|(?<=t)ues?|(?<=w)ed(?:nes)?|(?<=t)hu(?:rs)?|(?<=f)ri|(?<=s)at(?:ur)?|(?<=s)un)(?:day)?+"
"""After their first letters, by which a word has already been found."""

_NUMBER: Final = re.compile(
    rf"""
      [^\W_] (?<![^\W_].)
      (?: (?<=[\da-f])
          (?: [\da-f]{{7}} (?:-[\da-f]{{4}}){{3}} -[\da-f]{{12}}  # a UUID
            | [\da-f]{{0,3}}: (?: [\da-f]{{0,4}}: ){{1,6}} [\da-f]{{0,4}} (?![\w:\#])  # IPv6, hardware address, time
            | (?: (?: (?<=\d) | (?=[a-f]*+\d) ) [\da-f]{{3,}}+ | [a-f]{{7,}}+ ) (?![^\W_]|\#)  # hexadecimal
            | (?<=\d) (?: \s (?=[adfjmnos]) . {_MONTH} (?=\s\d) | [^\W_]*+ ) )  # 14 jun 2026; 30s, 0x7f3a
        | (?<![+/].) (?= (?:[a-z+/]*+\d){{3}} ) [\da-z+/]{{19,}}+ ={{0,2}}  # base64
        | (?<!\d) [^\W\d_]*+ \d++ [^\W\d_]++ \d [^\W_]*+  # x7k9q2
        | (?<=[adfjmnostw]) (?: {_DAY} ,?+ \s++ (?: [adfjmnos] {_MONTH} \s++ )?+ | {_MONTH} [\s.-]++ ) (?=\d)
      )
      (?: [-_]++ [^\W_]++ | [.:/,@+]\d [^\W_]*+ )*+  # and what hangs on it
    | \d++  # worker12
    | :: (?<![\w:]::) (?: [\da-f]{{1,4}} (?: :[\da-f]{{1,4}} ){{0,6}} )?+ (?![\w:\#])  # ::1
    """,
    re.VERBOSE,
)
_NAME: Final = re.compile(
    r"""
      (?<=\sfor\s) [\w.$\#-]++ (?=\sfrom\s\#)  # for root from #
    | (?P<before> \b(?:as|by|for|from|illegal|invalid|of|unknown)\suser:?\s )
      [\w.$\#-]++ (?= \s(?:at|by|from|in|on|via)\s | \s?+[\[(,;:] | \s*+\Z )  # invalid user guest from #
    """,
    re.VERBOSE,
)
_UNIT: Final = (
    r"(?:[nuµm]?s|(?:milli|micro|nano)?sec(?:ond)?s?|mins?|minutes?|h|hrs?|hours?|d|days?|weeks?"
    r"|[kmgtp]?i?b|[kmgtp]i?bytes?|bytes?|[kmg]?hz|am|pm|utc|gmt|ces?t|[ecmp][sd]t)(?!\w)|%"
)
_RUN: Final = re.compile(
    rf"""
    [-+<>~±\#] (?<![-+<>~±].) (?: (?<=\#) | [-+<>~±]*+ \# )  # 10, -10, <1
    (?: \s?+ (?:{_UNIT}) | / [\w.%+~$*-]*+ | [\s,;:.|/_@+~*&<>-]*+ \# )*+  # 10 MB; 10/sec; 10, 20
    """,
    re.VERBOSE,
)


def masked(message: str) -> str:
    """`message` in lower case, without quotes, with what varies between repeats as `#`, and a list of it as one `#`."""
    text = " ".join(message.lower().split())
    if not text.isascii():
        text = text.translate(_STRAIGHT)
    text = _VALUE.sub(_mask, text).replace('"', "").replace("'", "").replace("`", "")
    text = _NUMBER.sub("#", _PLACE.sub("#", _PATH.sub("#", text)))
    if " for " in text or " user" in text:
        text = _NAME.sub(_mask, text)
    words: list[str] = []
    for word in _RUN.sub("#", text).split():
        if "#" not in word or word not in words[-1:]:
            words.append(word)
    return " ".join(words)


def _mask(found: re.Match[str]) -> str:
    """The mask after what stands before it; what makes a value a telling one stays as it is, and so does the value."""
    return found[0] if found.lastgroup == "telling" else (found["before"] or "") + "#"
