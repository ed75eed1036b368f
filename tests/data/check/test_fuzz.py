"""Whatever stands in the place of whatever: findings or one line, no traceback; and clean copies."""

import copy
import json
import random

import pytest

from ppdet_ext.data.check import check_part, clean_part
from tests.data.check.sets import make_set

VALUES = [
    None,
    True,
    -1,
    0,
    1,
    3.0,
    2.5,
    10**400,
    float("nan"),
    float("-inf"),
    "",
    "1",
    "x",
    [],
    [1, 2],
    {},
    {"id": 1},
]


def places(value, path=()):
    """Every place in a JSON document."""
    if path:
        yield path
    if isinstance(value, (dict, list)):
        entries = value.items() if isinstance(value, dict) else enumerate(value)
        for key, entry in entries:
            yield from places(entry, (*path, key))


def mutated(content, dice):
    content = copy.deepcopy(content)
    for _ in range(dice.randint(1, 6)):
        *way, last = dice.choice(list(places(content)))
        place = content
        for key in way:
            place = place[key]
        if dice.random() < 0.2 and isinstance(place, dict):
            del place[last]
        elif dice.random() < 0.2 and isinstance(place, list):
            place.append(copy.deepcopy(dice.choice(place)))
        else:
            place[last] = copy.deepcopy(dice.choice(VALUES))
    return content


@pytest.fixture(scope="module")
def sound(tmp_path_factory):
    folder = tmp_path_factory.mktemp("fuzz")
    content = make_set(folder)
    content["images"] = content["images"][:3]
    content["annotations"] = content["annotations"][:9]
    return folder, content


@pytest.mark.parametrize("seed", range(8))
def test_no_mutation_ends_in_a_traceback(sound, seed):
    (folder, content), dice = sound, random.Random(seed)
    path, outcomes = folder / f"{seed}.json", set()
    for _ in range(60):
        path.write_text(json.dumps(mutated(content, dice)))
        try:
            part = check_part(path, folder / "images", progress=False)
            assert all(str(finding).startswith(str(folder)) for finding in part.findings)
            json.dumps([finding.as_dict() for finding in part.findings], allow_nan=False)
            cleaned, _ = clean_part(part)
        except ValueError as error:
            assert str(path) in str(error) and "\n" not in str(error)
            outcomes.add("refused")
            continue
        path.write_text(json.dumps(cleaned, allow_nan=False))
        again = check_part(path, folder / "images", progress=False)
        assert [str(f) for f in again.findings if f.severity == "error"] == []
        outcomes.add("cleaned")
    assert outcomes == {"refused", "cleaned"}
