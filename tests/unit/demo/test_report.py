"""Evidence in few words."""

from deploy.local.demo import report


def item(signal, contribution):
    return {"signal": signal, "contribution": contribution}


def test_evidence_is_summed_by_signal_and_the_weightiest_come_first():
    evidence = [item("base", 50), item("visit", 2.5), item("visit", 2.0), item("nps", -25)]
    assert report._reasons(evidence) == "base +50.0, nps -25.0, visit x2 +4.5"


def test_what_does_not_fit_is_summed_up():
    evidence = [item(name, value) for name, value in (("a", 9), ("b", -8), ("c", 7), ("d", 6), ("e", 1), ("f", -3))]
    assert report._reasons(evidence) == "a +9.0, b -8.0, c +7.0, d +6.0, others -2.0"
