"""The progress bar: passes every step through, and shows time, rate and the end."""

from upstroke.progress import progress


def test_every_step_passes_and_the_end_is_shown(capsys):
    assert list(progress(iter(range(101)), 100, 0.05, 4000, show=True)) == list(range(101))
    shown = capsys.readouterr().err
    assert "5/5 ms |########################| 100%" in shown and "node-steps/s" in shown


def test_nobody_asked_nothing_shown(capsys):
    assert list(progress(iter(range(11)), 10, 0.05, 4000, show=False)) == list(range(11))
    assert capsys.readouterr().err == ""
