"""Evidence in few words."""

from deploy.local.demo.report import reasons


def item(signal, contribution):
    return {"signal": signal, "contribution": contribution}


def test_evidence_is_summed_by_signal_and_the_weightiest_come_first():
    evidence = [item("base", 50), item("visit", 2.5), item("visit", 2.0), item("nps", -25)]
    assert reasons(evidence) == "base +50.0, nps -25.0, visit x2 +4.5"


def test_what_does_not_fit_is_summed_up():
    evidence = [item(name, value) for name, value in (("a", 9), ("b", -8), ("c", 7), ("d", 6), ("e", 1), ("f", -3))]
    assert reasons(evidence) == "a +9.0, b -8.0, c +7.0, d +6.0, others -2.0"


def test_base_comes_first_and_the_limit_last():
    evidence = [item("clamp", -90), item("a", 60), item("base", 50), item("b", 80)]
    assert reasons(evidence) == "base +50.0, b +80.0, a +60.0, clamp -90.0"
