from pipeline_kit import *
pytest_plugins = ["pipeline_kit"]
def test_x(world):
    with running(world) as engine:
        engine.ingest([1]); world.sound(1); world.stream_is_empty()
        for c in world.raw.client_list(): print(c["cmd"], c["id"])
    print("after")
    for c in world.raw.client_list(): print(c["cmd"], c["id"], c["idle"])
    assert 0
