"""Places are bounded, of each owner too; bytes are bounded, but for small requests; who is slow gives way."""

import asyncio

import pytest
from grpc import StatusCode

from kerasft.serving.server.admission import FREE_BYTES, Memory, Shares, Turns
from kerasft.serving.status import ServingError


def test_places_of_all_and_of_one():
    shares = Shares(3, 2, "requests")
    with shares.slot("a"), shares.slot("a"):
        with pytest.raises(ServingError, match="2 requests of this connection are under way; try again later"):
            with shares.slot("a"):
                pass
        with shares.slot("b"):
            with pytest.raises(ServingError, match="3 requests are under way") as refused:
                with shares.slot("c"):
                    pass
            assert refused.value.code is StatusCode.RESOURCE_EXHAUSTED
    assert shares.count == 0
    with pytest.raises(KeyError), shares.slot("a"):
        raise KeyError
    with shares.slot("a"), shares.slot("a"):
        assert shares.count == 2


def test_memory_is_given_back_and_small_requests_take_none():
    memory = Memory(1000)
    with memory.account() as large:
        large.add(FREE_BYTES)
        assert memory.used == 0
        large.add(600)
        large.add(300)
        assert memory.used == 900
        with memory.account() as small, memory.account() as other:
            small.add(FREE_BYTES)
            with pytest.raises(ServingError, match="requests hold 900 bytes"):
                other.add(FREE_BYTES + 101)
        assert memory.used == 900
        with pytest.raises(ServingError):
            large.add(101)
    assert memory.used == 0


async def message(seconds):
    await asyncio.sleep(seconds)
    return b"m"


def test_a_message_that_takes_too_long():
    async def work():
        turns = Turns(1, patience=60.0)
        with pytest.raises(ServingError, match="did not come within 0.02 s") as late:
            await turns.take(message(60), 0.02)
        assert late.value.code is StatusCode.DEADLINE_EXCEEDED
        return await turns.take(message(0), 60)  # its place is free again

    assert asyncio.run(work()) == b"m"


def test_the_slowest_messages_give_way_to_those_that_wait():
    async def work():
        turns = Turns(2, patience=0.05)
        slow = [asyncio.create_task(turns.take(message(60), 60)) for _ in range(2)]
        await asyncio.sleep(0)
        quick = [await turns.take(message(0), 60) for _ in range(5)]
        return quick, await asyncio.wait_for(asyncio.gather(*slow[:1], return_exceptions=True), 60), slow[1]

    quick, [sent_away], _ = asyncio.run(work())
    assert quick == [b"m"] * 5
    assert sent_away.code is StatusCode.RESOURCE_EXHAUSTED and "too slowly" in sent_away.message


def test_a_client_that_goes_away_leaves_its_place():
    async def work():
        turns = Turns(1, patience=60.0)
        gone = [asyncio.create_task(turns.take(message(60), 60)) for _ in range(2)]
        await asyncio.sleep(0.01)
        for each in gone:
            each.cancel()
        await asyncio.wait(gone)
        return await turns.take(message(0), 60)

    assert asyncio.run(work()) == b"m"
