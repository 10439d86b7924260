"""Recordings as an experiment would make them, without a kernel."""

from collections.abc import Mapping

import numpy as np

from k40s.assurance.metrics import Metric
from k40s.units import NS_PER_MS, NS_PER_S
from workbench.calibration.assurance.plan.experiment import (
    SAMPLING,
    WATCHING,
    Experiment,
    Phase,
    Policy,
    Stress,
)
from workbench.calibration.assurance.plan.experiment_text import Setting
from workbench.calibration.assurance.plan.recording import Recording, Samples
from workbench.calibration.assurance.plan.rt_app import Array, Jobs

COOLDOWN, STRESS = 6, 5


def phase_of(
    stress: Stress = Stress.OPEN,
    *,
    policy: Policy = Policy.FIFO,
    stressors: int = 16,
    repetition: int = 1,
) -> Phase:
    return Phase(policy=policy, stressors=stressors, repetition=repetition, stress=stress)


def recording_of(
    phase: Phase,
    *,
    late: float = 50.0,
    slow: float = 0.0,
    levels: Mapping[Metric, tuple[float, float]] | None = None,
    steal: float = 0.0,
    pressures: tuple[int, int] | None = None,
) -> Recording:
    """A phase whose jobs have a latency of ``late`` µs under stress, 50 when quiet.

    ``pressures`` are the task's when quiet and under stress, in µs/s.
    ``slow`` µs of slack are lost there. ``levels`` are metrics when quiet and under stress.
    """
    noise = np.random.default_rng(len(phase.name))
    end = (COOLDOWN + STRESS) * NS_PER_S
    times = np.arange(SAMPLING, end + 1, SAMPLING, dtype=np.float64)
    at = np.arange(10 * NS_PER_MS, end + 1, 10 * NS_PER_MS, dtype=np.float64)
    stressed = at >= COOLDOWN * NS_PER_S
    latency = np.where(stressed, late, 50.0) * noise.uniform(0.9, 1.1, len(at))
    slack = 6000.0 - np.where(stressed, slow, 0.0) - latency
    given = {Metric.CPU_SYSTEM: (0.1, 0.6), **(levels or {})}
    metrics = {
        metric: np.where(times > COOLDOWN * NS_PER_S, high, low)
        * noise.uniform(0.95, 1.05, len(times))
        for metric, (low, high) in given.items()
    }
    metrics[Metric.CPU_STEAL] = np.full(len(times), steal)
    seldom = slice(WATCHING // SAMPLING - 1, None, WATCHING // SAMPLING)
    return Recording(
        phase=phase,
        stressed=COOLDOWN * NS_PER_S,
        ended=end,
        steal=steal,
        load=1.0,
        samples=Samples(times=times, metrics=metrics),
        jobs=Jobs(at=at, latency=latency, slack=slack),
        watched=Samples(
            times=times[seldom],
            metrics={metric: column[seldom] for metric, column in metrics.items()},
            waited=None if pressures is None else _waited(times[seldom], *pressures),
        ),
    )


def _waited(times: Array, quiet: int, stressed: int) -> Array:
    begun = COOLDOWN * NS_PER_S
    return (np.minimum(times, begun) * quiet + np.maximum(0, times - begun) * stressed) / NS_PER_S


def setting_of(*policies: Policy) -> Setting:
    return Setting(
        experiment=Experiment(
            cpus=(1,),
            policies=policies or (Policy.FIFO,),
            stresses=tuple(Stress),
            stressors=(16,),
            repetitions=1,
            cooldown=COOLDOWN,
            stress_time=STRESS,
        ),
        kernel="6.18.44",
        machine="virtual machine of 2 CPUs, A CPU",
        loop=21,
    )


HARMED = {Policy.FIFO: (Stress.OPEN, Stress.HDD), Policy.OTHER: tuple(Stress)}
"""Stresses that harm, by policy, in ``experiment_of``."""


def experiment_of(*policies: Policy) -> list[Recording]:
    """All stresses once for each policy: RCU softirqs rise with harm to real-time tasks alone.

    The run queue rises under every stress, and one metric of each unit is there.
    """
    return [
        recording_of(
            phase_of(stress, policy=policy),
            late=600.0 if stress in HARMED[policy] else 40.0,
            slow=1500.0 if stress in HARMED[policy] else 0.0,
            pressures=(1_200, 12_000 if stress in HARMED[policy] else 900),
            levels={
                Metric.RUN_QUEUE: (0.5, 9.0),
                Metric.SOFTIRQ_RCU: (90.0, 2500.0 if stress in HARMED[Policy.FIFO] else 200.0),
                Metric.SOFTIRQ_TIMER: (100.0, 100.0),
                Metric.KERNEL_STRETCH: (0.1, 0.4 if stress is Stress.FORK else 0.1),
            },
        )
        for policy in policies
        for stress in Stress
    ]
