"""Orders: what is yielded is carried out by the kernel of the parent, and its result is sent back."""

from collections.abc import Iterator

import pytest
from parent_machines import booted

from minihv.errors import ConfigurationError, InternalError
from minihv.parent.gate import GateCode
from minihv.parent.orders import NO_WORKER, Hypercall, Order, Result, StartWorker, Steps, StopWorker
from minihv.parent.partition import ParentPartition
from minihv.spec.hypercalls import CallCode, Status

WHO_AM_I = Hypercall(CallCode.GET_PARTITION_ID, output_bytes=8)
VENDOR = Hypercall(
    CallCode.GET_PARTITION_PROPERTY,
    (1).to_bytes(8, "little") + (0x60000).to_bytes(8, "little"),
    output_bytes=8,
)
SPIN = Hypercall(CallCode.NOTIFY_LONG_SPIN_WAIT, bytes(8), fast=True)
NO_CALL = Hypercall(CallCode.MAP_STATS_PAGE, bytes(8), fast=True)


@pytest.fixture
def parent() -> Iterator[ParentPartition]:
    with booted() as made:
        yield made


def each(*orders: Order) -> Steps:
    results: list[Result] = []
    for order in orders:
        results.append((yield order))
    return results


def test_hypercall_is_executed_by_the_parent_and_its_output_comes_back(parent: ParentPartition) -> None:
    job = parent.orders.submit("ask", each(WHO_AM_I, VENDOR))
    parent.settle()
    assert job.is_done
    assert job.value == [Result(0, (1).to_bytes(8, "little")), Result(0, bytes(8))]
    assert parent.vp.counters.hypercalls[CallCode.GET_PARTITION_ID] == 1


def test_refused_hypercall_has_its_status(parent: ParentPartition) -> None:
    job = parent.orders.submit("ask", each(NO_CALL))
    parent.settle()
    (result,) = job.value
    assert result.status == Status.INVALID_HYPERCALL_CODE and not result.succeeded and result.done == 0


def test_fast_hypercall_carries_its_block_in_registers(parent: ParentPartition) -> None:
    job = parent.orders.submit("spin", each(SPIN))
    parent.settle()
    assert job.value == [Result(0)]


def test_jobs_take_turns(parent: ParentPartition) -> None:
    seen: list[str] = []

    def steps(name: str) -> Steps:
        for _ in range(2):
            yield SPIN
            seen.append(name)

    parent.orders.submit("one", steps("one"))
    parent.orders.submit("two", steps("two"))
    parent.settle()
    assert seen == ["one", "two", "one", "two"]


def test_job_without_orders_is_done_at_once(parent: ParentPartition) -> None:
    job = parent.orders.submit("nothing", each())
    assert job.is_done and job.value == [] and not parent.orders.wait


def test_silent_orders_cost_one_call_of_the_gate_together_less_than_their_number(
    parent: ParentPartition,
) -> None:
    before = dict(parent.gate.calls)
    for _ in range(3):
        parent.orders.post(SPIN)
    parent.settle()
    called = {code: parent.gate.calls[code] - before[code] for code in GateCode}
    assert {code: count for code, count in called.items() if count} == {GateCode.NEXT_ORDER: 3}
    assert parent.orders.made == {"HvNotifyLongSpinWait": 3} and not parent.orders.refused


def test_silent_order_that_fails_is_reported(parent: ParentPartition) -> None:
    parent.orders.post(NO_CALL)
    parent.orders.post(SPIN)
    parent.settle()
    assert list(parent.orders.refused) == [(NO_CALL, Status.INVALID_HYPERCALL_CODE)]
    assert parent.orders.made["HvNotifyLongSpinWait"] == 1


def test_silent_orders_go_before_jobs(parent: ParentPartition) -> None:
    job = parent.orders.submit("ask", each(WHO_AM_I))
    parent.orders.post(SPIN)
    parent.settle()
    assert list(parent.orders.made) == ["HvNotifyLongSpinWait", "HvGetPartitionId"] and job.is_done


def test_refusal_is_kept_for_whoever_waits(parent: ParentPartition) -> None:
    def steps() -> Steps:
        yield SPIN
        raise ConfigurationError("It cannot be.")

    job = parent.orders.submit("refuse", steps(), awaited=True)
    parent.settle()
    assert job.is_done and str(job.failure) == "It cannot be."


def test_refusal_that_nobody_waits_for_is_a_bug_that_is_named(parent: ParentPartition) -> None:
    def steps() -> Steps:
        yield SPIN
        raise ConfigurationError("It cannot be.")

    parent.orders.submit("refuse", steps())
    with pytest.raises(InternalError) as raised:
        parent.settle()
    assert str(raised.value) == (
        "The service ORDER_DONE of the parent partition failed (ConfigurationError('It cannot be.')): "
        "please report the guest that did this."
    )


def test_cancelled_job_is_asked_for_nothing_more(parent: ParentPartition) -> None:
    job = parent.orders.submit("ask", each(WHO_AM_I))
    parent.orders.cancel(job)
    parent.settle()
    assert job.is_done and parent.orders.made == {}


def test_workers_are_as_many_as_the_kernel_says(parent: ParentPartition) -> None:
    many = parent.worker_count
    job = parent.orders.submit("start", each(*map(StartWorker, range(2, many + 3))))
    parent.settle()
    mailboxes = [result.value for result in job.value]
    assert mailboxes[-1] == NO_WORKER and len(set(mailboxes[:-1])) == many
    freed = parent.orders.submit("again", each(StopWorker(7), StartWorker(5000)))
    parent.settle()
    assert freed.value[1].value == mailboxes[5]
