"""Loading of PaddleDetection's YAML: the same files, keys and merge order, with no code in them.

PaddleDetection's own loader runs any ``!!python`` tag it meets. This one knows the tags that its
registered classes have (``!COCODataSet {...}``) and the plug-in's hook, and refuses the rest.
"""

import os
import re

import yaml

from .config_checks import check_names, check_overrides
from .nearest import did_you_mean
from .plugin import setup

BASE_KEY = "_BASE_"
# ppdet's own tag for "call this function of that module": code by another name.
CALLING_TAG = "!Callable"
HOOK_TAG = "tag:yaml.org,2002:python/object/apply:ppdet_ext.setup"
PYTHON_TAG = "tag:yaml.org,2002:python/"
# YAML 1.1 reads 1e-3 as text, and people write it for a number.
EXPONENT = re.compile(r"[-+]?(\d+\.?\d*|\.\d+)[eE][-+]?\d+$")


def _loader_class(path):
    """A SafeLoader that also knows ppdet's registered tags and the plug-in's hook."""

    class ConfigLoader(yaml.SafeLoader):
        pass

    def place(node):
        return f"{path}:{node.start_mark.line + 1}"

    def guarded(tag, construct):
        def build(loader, node):
            _check_arguments(place(node), tag[1:], node)
            try:
                return construct(loader, node)
            except TypeError as error:  # an argument that the class does not take
                raise ValueError(f"{place(node)}: {tag}: {error}") from None

        return build

    def refuse(loader, suffix, node):
        raise ValueError(
            f"{place(node)}: the tag !!python/{suffix} would run code and is refused; only "
            "!!python/object/apply:ppdet_ext.setup is allowed"
        )

    def refuse_call(loader, node):
        raise ValueError(f"{place(node)}: the tag {CALLING_TAG} would run code and is refused")

    def unknown(loader, suffix, node):
        known = [tag[1:] for tag in ConfigLoader.yaml_constructors if tag and tag.startswith("!")]
        close = did_you_mean(suffix, known)
        raise ValueError(f"{place(node)}: no class is registered for the tag !{suffix}{close}")

    ConfigLoader.add_implicit_resolver("tag:yaml.org,2002:float", EXPONENT, list("-+.0123456789"))
    for tag, constructor in yaml.Loader.yaml_constructors.items():
        if tag and tag.startswith("!"):
            ConfigLoader.add_constructor(tag, guarded(tag, constructor))
    ConfigLoader.add_constructor(CALLING_TAG, refuse_call)
    ConfigLoader.add_constructor(HOOK_TAG, lambda loader, node: setup())
    ConfigLoader.add_multi_constructor(PYTHON_TAG, refuse)
    ConfigLoader.add_multi_constructor("!", unknown)
    return ConfigLoader


def _check_arguments(place, name, node):
    """Refuses an argument that the class of a tag does not take; the class itself would also print."""
    from ppdet.core.workspace import get_registered_modules

    schema = get_registered_modules().get(name)
    if schema is None or not schema.strict or not isinstance(node, yaml.MappingNode):
        return
    for key, _ in node.value:
        if key.value not in schema.schema:
            close = did_you_mean(key.value, schema.schema)
            raise ValueError(f"{place}: {name} has no option '{key.value}'{close}")


def _read(path, seen=()):
    """The mappings of a file and of those it builds on, in the order in which they are merged."""
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
    except UnicodeDecodeError as error:
        raise ValueError(f"{path}: not valid YAML: not UTF-8 text ({error.reason})") from None
    if config is None:
        raise ValueError(f"{path}: the file is empty; a config is a mapping of keys")
    if not isinstance(config, dict):
        raise ValueError(f"{path}: a config is a mapping of keys, not {type(config).__name__}")
    bases = config.pop(BASE_KEY, [])
    if not isinstance(bases, list) or not all(isinstance(base, str) for base in bases):
        raise ValueError(f"{path}: {BASE_KEY} is a list of files, such as ['a.yml', 'b.yml']")
    layers = []
    for base in bases:
        base = os.path.expanduser(base)
        if not os.path.isabs(base):
            base = os.path.join(os.path.dirname(path), base)
        layers += _read(os.path.normpath(base), (*seen, path))
    return [*layers, config]


def check_tags(path):
    """Reads a config that PaddleDetection is about to load itself (a ``--slim_config``), for its tags.

    Returns:
        dict: what it says, with the files that it builds on.

    Raises:
        ValueError: as :func:`load_config` on a file that can't be read or holds a refused tag.
    """
    setup()
    config = {}
    for layer in _read(os.path.normpath(path)):
        _merge(config, layer)
    return config


def merge_file(path, overrides):
    """Merges a file over the config that is loaded, and ``-o`` over both (a ``--slim_config``).

    Args:
        path (str): a YAML file; its name becomes that of the run, as in PaddleDetection.
        overrides (dict): of ``-o``.

    Returns:
        ppdet.core.workspace.AttrDict: ppdet's global config.

    Raises:
        ValueError: as :func:`load_config`, about the keys of this file.
    """
    from ppdet.core import workspace

    said = check_tags(path)
    config = workspace.global_config
    check_overrides(said, dict.fromkeys(config), f"{path}: ")
    workspace.merge_config(said)
    workspace.merge_config(overrides)
    checked = {key: config[key] for key in {"architecture": None, **said}}
    check_names(checked, workspace.get_registered_modules(), path)
    config["filename"] = os.path.splitext(os.path.basename(path))[0]
    return config


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
            if not isinstance(place, dict):
                raise ValueError(f"-o {pair}: {section} has been given a plain value before")
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
    layers = _read(os.path.normpath(path))
    modules = _fresh_workspace(workspace)
    # A section of a module starts as a mapping of its own, as in ppdet's workspace: what two sections share
    # through a YAML alias parts when one of them is overridden.
    config = {name: {} for name in modules}
    for layer in layers:
        _merge(config, layer)
    check_overrides(overrides, config)
    _merge(config, overrides)
    config = {key: value for key, value in config.items() if key not in modules or value != {}}
    check_names(config, modules, path)
    config["filename"] = os.path.splitext(os.path.basename(path))[0]
    workspace.merge_config(config)
    return workspace.global_config


def input_size(cfg):
    """[H, W] of a config's images at inference, pixels; -1 where a side is free.

    Raises:
        ValueError: its TestReader does not say it.
    """
    shape = ((cfg.get("TestReader") or {}).get("inputs_def") or {}).get("image_shape")
    if not isinstance(shape, (list, tuple)) or len(shape) < 2 or not all(type(s) is int for s in shape[-2:]):
        raise ValueError(
            f"{cfg.filename}: TestReader.inputs_def.image_shape is {shape}; give [3, H, W], or say --size"
        )
    return list(shape[-2:])


_registered = {}


def _fresh_workspace(workspace):
    """Forgets what an earlier config left in ppdet's workspace; returns the registered modules by name."""
    _registered.update(workspace.get_registered_modules())
    workspace.global_config.clear()
    for name, schema in _registered.items():
        schema.clear()
        workspace.global_config[name] = schema
    return _registered
