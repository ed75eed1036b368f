"""The forms in which blocks without alpha are tested: arguments of their constructors."""

SQUARE = {"in_channels": 8, "out_channels": 8}
FORMS = {
    "two branches": {"in_channels": 6, "out_channels": 10},
    "two branches, swish": {"in_channels": 6, "out_channels": 6, "act": "swish"},
    "three branches": {**SQUARE, "identity": True},
    "groups": {**SQUARE, "identity": True, "groups": 4},
    "depthwise": {**SQUARE, "identity": True, "groups": 8},
    "stride": {**SQUARE, "identity": True, "stride": 2},
    "stride and groups": {"in_channels": 8, "out_channels": 12, "groups": 2, "stride": 2},
    "dilation": {**SQUARE, "identity": True, "dilation": 2},
    "reflect": {**SQUARE, "identity": True, "padding_mode": "reflect"},
    "replicate, stride": {**SQUARE, "padding_mode": "replicate", "stride": 2},
    "circular, dilation, groups": {
        **SQUARE,
        "identity": True,
        "padding_mode": "circular",
        "dilation": 2,
        "groups": 2,
    },
    "another epsilon": {**SQUARE, "identity": True, "bn_epsilon": 1e-2},
}
