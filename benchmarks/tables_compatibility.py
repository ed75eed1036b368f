"""The tables of docs/compatibility.md: steps by environments, and what a step that does not work says."""

import re

REASON = "reason"
# What an error of a verb begins with; the step tells it, too.
VERB = re.compile(r"^ppdet-ext \w+: ")


def environments_of(figures):
    """Names of the environments, in the order of the figures ('ENVIRONMENT; STEP')."""
    return list(dict.fromkeys(name.split("; ")[0] for name in figures))


def steps(figures):
    """A row a step, a column an environment."""
    places = environments_of(figures)
    rows = []
    for step in dict.fromkeys(name.split("; ")[1] for name in figures):
        rows.append([step, *(_cell(figures.get(f"{place}; {step}")) for place in places)])
    return ["", *places], rows


def _cell(row):
    """One word where all families agree, else what most do and who does not."""
    if row is None:
        return "-"
    answers = {family: answer for family, answer in row.items() if family != REASON}
    usual = max(answers.values(), key=list(answers.values()).count)
    others = [f"{family} {answer}" for family, answer in answers.items() if answer != usual]
    return ", ".join([usual, *others])


def reasons(figures):
    """A row for every different line that a step said which does not work."""
    said = {}
    for name, row in figures.items():
        if REASON in row:
            place, step = name.split("; ")
            where = said.setdefault(VERB.sub("", row[REASON]).replace("|", "\\|"), ([], []))
            for known, new in zip(where, (step, place)):
                if new not in known:
                    known.append(new)
    rows = [[", ".join(names), ", ".join(places), f"`{line}`"] for line, (names, places) in said.items()]
    return ["step", "where", "what it says"], rows
