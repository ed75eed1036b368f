"""Fonts of plots whose texts may be in any script."""

# Matplotlib's own font comes first; then what systems have for Chinese, Japanese and Korean.
FAMILIES = (
    "DejaVu Sans", "Noto Sans CJK SC", "Noto Sans CJK JP", "Noto Sans SC", "Source Han Sans SC",
    "WenQuanYi Micro Hei", "WenQuanYi Zen Hei", "Microsoft YaHei", "SimHei", "PingFang SC", "Hiragino Sans",
    "Arial Unicode MS",
)  # fmt: skip


def plot_families():
    """Those of FAMILIES that are installed.

    Returns:
        list[str]: for matplotlib's ``fontfamily``.
    """
    from matplotlib import font_manager

    installed = {font.name for font in font_manager.fontManager.ttflist}
    return [family for family in FAMILIES if family in installed]


def readable_names(names, families):
    """Names of classes as the fonts can write them.

    Args:
        names (list[str]): in the order of the labels.
        families (list[str]): installed fonts.

    Returns:
        list[str]: the name, or "class" and its label where the fonts lack a letter.
    """
    from matplotlib import font_manager

    fonts = [font_manager.get_font(font_manager.findfont(family)) for family in families]

    def written(letter):
        return any(font.get_char_index(ord(letter)) for font in fonts)

    return [name if all(map(written, name)) else f"class {label}" for label, name in enumerate(names)]
