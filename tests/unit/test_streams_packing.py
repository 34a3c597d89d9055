"""What a batch of messages looks like on the wire."""

from datetime import UTC, datetime

from hypothesis import given
from hypothesis import strategies as st

from m10actors.streams.codec import MAX_CANDIDATE_ID, MAX_GENERATION, Message, encode
from m10actors.streams.connection import make_connection
from m10actors.streams.packing import additions

NOON = datetime(2026, 2, 3, 12, 0, tzinfo=UTC)
MESSAGES = st.builds(
    Message,
    st.integers(1, MAX_CANDIDATE_ID),
    st.integers(1, MAX_GENERATION),
    st.sampled_from([NOON, NOON.replace(hour=13)]),
    st.integers(0, 1),
    st.sampled_from(["{}", '{"π": "100 %"}']),
    st.sampled_from([None, "key\r\n"]),
    st.sampled_from([None, "dl-1"]),
    st.sampled_from([None, NOON]),
)


@given(stream=st.sampled_from(["m10:evaluate:stream", "{π}:100%d"]), messages=st.lists(MESSAGES, max_size=6))
def test_messages_are_the_bytes_that_the_library_would_send(stream: str, messages: list[Message]) -> None:
    library = make_connection("redis://nowhere/0", 1)
    one_by_one = [b"".join(library.pack_command("XADD", stream, "*", *encode(message))) for message in messages]
    assert list(additions(stream, messages)) == one_by_one
