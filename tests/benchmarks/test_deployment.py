import deployment

from ppdet_ext.evaluation.bench.rounds import FAILED, Measured


def test_bars_of_the_deployment_benchmark():
    def measured(**times):
        return Measured(None, rounds=[{phase: [value] for phase, value in times.items()}] * 2)

    results = {
        deployment.BASELINE: measured(network=6.0),
        deployment.DEPLOY: measured(file_to_boxes=8.0),
        "ours, OpenVINO": measured(pre=0.1, network=2.0, post=0.2),
        "ours, ONNX Runtime": measured(pre=0.1, network=4.0, post=0.1),
        "ours training form, OpenVINO": measured(network=2.2),
        "ours, ONNX Runtime, file to boxes": measured(file_to_boxes=4.0),
        "ours, OpenVINO, file to boxes": Measured(None, FAILED, "gone"),
    }
    network, ends, share, *forms = deployment.judge(results)
    assert network["value"]["median"] == 3 and network["passed"]
    assert ends["value"]["median"] == 2 and not ends["passed"]
    assert share["value"]["median"] == 0.15 and not share["passed"]
    known = [form for form in forms if form["value"]]
    assert len(forms) == 4 and [form["rows"][0] for form in known] == ["ours training form, OpenVINO"]
    assert known[0]["value"]["median"] == 1.1 and not known[0]["passed"]
    nothing = deployment.judge({})
    assert [bar["value"] for bar in nothing] == [None] * 7 and not any(bar["passed"] for bar in nothing)
