"""How often a look may be wrong: the budget of false alarms, shared among the tests."""

from __future__ import annotations

from everfit.project.sections.monitoring import Monitoring

# Drift of columns, of all of them together, of the prediction; data quality; performance by windows and by labels.
FAMILIES = 6
LARGEST_ALPHA = 0.05


def alpha_per_look(monitoring: Monitoring) -> float:
    """The false-alarm rate that each family of tests may have in one look.

    The budget times the time between looks is the number of false alarms that one look may raise on average; columns,
    all columns together, prediction, data quality, the metric on windows of labels and the losses one by one share it
    evenly. Expectations add up whether or not the looks overlap, so the budget holds for windows that share rows too.
    Never more than 5%.

    >>> round(alpha_per_look(Monitoring(every="1h", alarms="1/month")), 6)  # 720 looks a month, 6 families
    0.000231
    """
    return min(LARGEST_ALPHA, monitoring.alarms * monitoring.every.total_seconds() / FAMILIES)
