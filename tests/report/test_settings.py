import pytest

from ppdet_ext.report.settings import ReportSettings


@pytest.mark.parametrize(
    "value, wanted, threshold",
    [(None, True, None), (True, True, None), (False, False, None), ({"threshold": 0.4}, True, 0.4)],
)
def test_what_a_config_may_say(value, wanted, threshold):
    assert ReportSettings.of(value) == ReportSettings(wanted, threshold)


@pytest.mark.parametrize(
    "value, said",
    [
        ("no", "report is 'no'; give true, false"),
        ({"treshold": 0.4}, "report has no option 'treshold'"),
        ({"threshold": 40}, "report.threshold is 40; give a score from 0 to 1"),
        ({"threshold": True}, "report.threshold is True"),
    ],
)
def test_what_it_may_not(value, said):
    with pytest.raises(ValueError, match=said):
        ReportSettings.of(value)
