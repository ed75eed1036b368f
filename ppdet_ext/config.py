"""Loading of PaddleDetection's YAML: the same files, keys and merge order, with no code in them.

PaddleDetection's own loader runs any ``!!python`` tag it meets. This one knows the tags that its
registered classes have (``!COCODataSet {...}``) and the plug-in's hook, and refuses the rest.
"""
import difflib
import os

import yaml

from .plugin import setup

BASE_KEY = "_BASE_"
HOOK_TAG = "tag:yaml.org,2002:python/object/apply:ppdet_ext.setup"
PYTHON_TAG = "tag:yaml.org,2002:python/"


def _loader_class(path):
    """A SafeLoader that also knows ppdet's registered tags and the plug-in's hook."""

    class ConfigLoader(yaml.SafeLoader):
        pass

    for tag, constructor in yaml.Loader.yaml_constructors.items():
        if tag and tag.startswith("!"):
            ConfigLoader.add_constructor(tag, constructor)
    ConfigLoader.add_constructor(HOOK_TAG, lambda loader, node: setup())

    def refuse(loader, suffix, node):
        line = node.start_mark.line + 1
        raise ValueError(
            f"{path}:{line}: the tag !!python/{suffix} would run code and is refused; only "
            "!!python/object/apply:ppdet_ext.setup is allowed"
        )

    def unknown(loader, suffix, node):
        known = [tag[1:] for tag in ConfigLoader.yaml_constructors if tag and tag.startswith("!")]
        raise ValueError(
            f"{path}:{node.start_mark.line + 1}: no class is registered for the tag !{suffix}"
            f"{nearest(suffix, known)}"
        )

    ConfigLoader.add_multi_constructor(PYTHON_TAG, refuse)
    ConfigLoader.add_multi_constructor("!", unknown)
    return ConfigLoader


def nearest(name, known):
    """'; did you mean X?' for the nearest of ``known``, or an empty string."""
    close = difflib.get_close_matches(str(name), [str(k) for k in known], n=1)
    return f"; did you mean '{close[0]}'?" if close else ""


def _read(path, seen=()):
    if path in seen:
        raise ValueError(f"{path}: {BASE_KEY} leads back to this file")
    if not os.path.isfile(path):
        origin = f" ({BASE_KEY} of {seen[-1]})" if seen else ""
        raise ValueError(f"{path}: no such config file{origin}")
    try:
        with open(path, encoding="utf-8") as file:
            config = yaml.load(file, Loader=_loader_class(path))
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        line = f":{mark.line + 1}" if mark else ""
        raise ValueError(f"{path}{line}: not valid YAML: {getattr(error, 'problem', error)}") from None
    if not isinstance(config, dict):
        raise ValueError(f"{path}: a config is a mapping of keys, not {type(config).__name__}")
    merged = {}
    for base in config.pop(BASE_KEY, None) or []:
        base = os.path.expanduser(base)
        if not os.path.isabs(base):
            base = os.path.join(os.path.dirname(path), base)
        _merge(merged, _read(os.path.normpath(base), (*seen, path)))
    return _merge(merged, config)


def _merge(target, extra):
    for key, value in extra.items():
        if isinstance(target.get(key), dict) and isinstance(value, dict):
            _merge(target[key], value)
        else:
            target[key] = value
    return target


def parse_overrides(pairs):
    """Turns ``['a.b=1', 'c=x']`` into ``{'a': {'b': 1}, 'c': 'x'}``, values read as YAML.

    Raises:
        ValueError: an entry without '=', or a value that is not plain YAML.
    """
    overrides = {}
    for pair in pairs or []:
        key, equals, text = pair.strip().partition("=")
        if not equals or not key:
            raise ValueError(f"-o {pair}: write key=value, or section.key=value")
        try:
            value = yaml.load(text, Loader=_loader_class(f"-o {key}"))
        except yaml.YAMLError:
            raise ValueError(f"-o {pair}: the value is not valid YAML") from None
        *sections, leaf = key.split(".")
        place = overrides
        for section in sections:
            place = place.setdefault(section, {})
        place[leaf] = value
    return overrides


def load_config(path, overrides=None):
    """Loads a config into ppdet's workspace, checked.

    Args:
        path (str): a YAML file; ``_BASE_`` files are merged under it.
        overrides (dict | list[str] | None): merged over it; strings as ``-o`` takes them.

    Returns:
        ppdet.core.workspace.AttrDict: ppdet's global config.

    Raises:
        ValueError: no such file, bad YAML, a refused tag, an unknown key or module name. The file, the
            line or the section is named, and the nearest known name.
    """
    setup()
    from ppdet.core import workspace

    if os.path.splitext(path)[1] not in (".yml", ".yaml"):
        raise ValueError(f"{path}: a config file ends in .yml or .yaml")
    if not isinstance(overrides, dict):
        overrides = parse_overrides(overrides)
    config = _merge(_read(os.path.normpath(path)), overrides)
    modules = _fresh_workspace(workspace)
    _check_names(config, modules, path)
    config["filename"] = os.path.splitext(os.path.basename(path))[0]
    workspace.merge_config(config)
    return workspace.global_config


_registered = {}


def _fresh_workspace(workspace):
    """Forgets what an earlier config left in ppdet's workspace; returns the registered modules by name."""
    _registered.update(workspace.get_registered_modules())
    workspace.global_config.clear()
    for name, schema in _registered.items():
        schema.clear()
        workspace.global_config[name] = schema
    return _registered


def _check_names(config, modules, path):
    """Every section of a registered class has keys that the class takes, and names that exist."""
    architecture = config.get("architecture")
    if architecture is None:
        raise ValueError(f"{path}: 'architecture' is missing; name one, such as YOLODetector")
    if architecture not in modules:
        raise ValueError(f"{path}: architecture '{architecture}' is not registered"
                         f"{nearest(architecture, modules)}")
    for section, values in config.items():
        schema = modules.get(section)
        if schema is None:
            if isinstance(values, dict) and section[:1].isupper():
                close = nearest(section, modules)
                if close:
                    raise ValueError(f"{path}: section '{section}' belongs to no registered module{close}")
            continue
        if isinstance(values, dict):
            _check_section(section, values, schema, modules, path)


def _check_section(section, values, schema, modules, path):
    is_architecture = schema.category == "architecture"
    for key, value in values.items():
        if schema.strict and key not in schema.schema:
            raise ValueError(f"{path}: {section} has no option '{key}'{nearest(key, schema.schema)}")
        if key in schema.inject or (is_architecture and key in ("backbone", "neck", "yolo_head", "head")):
            name = value.get("name") if isinstance(value, dict) else value
            if isinstance(name, str) and name not in modules:
                raise ValueError(f"{path}: {section}.{key}: no module is called '{name}'"
                                 f"{nearest(name, modules)}")
            if isinstance(value, dict) and isinstance(name, str):
                options = {k: v for k, v in value.items() if k != "name"}
                _check_section(name, options, modules[name], modules, path)
