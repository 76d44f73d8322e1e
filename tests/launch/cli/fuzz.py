"""What the command line may be given: arguments, values, and files, most of them wrong."""

import functools

import yaml
from hypothesis import strategies as st

from launch import cli
from launch.config.fewshot import FewShotConfig
from launch.config.reference import all_keys
from launch.config.schema import LoadedConfig
from tests.launch.runs import TMAZE

FEWSHOT = {
    "total_frames": 200,
    "episodes": {"tasks": [{"name": "folder", "root": "pictures"}], "n_way": 2},
    "learner": {"batch_size": 2},
}
KEYS = sorted({key.name for kind in (LoadedConfig, FewShotConfig) for key in all_keys(kind)})
SECTIONS = sorted({key.rpartition(".")[0] for key in KEYS} - {""})
DEEP = 600

# An argument holds no NUL, and what is not UTF-8 in it becomes these surrogates.
ESCAPED = st.characters(min_codepoint=0xDC80, max_codepoint=0xDCFF, categories=["Cs"])
WORDS = st.text(st.characters(codec="utf-8", exclude_characters="\0/") | ESCAPED, max_size=12)

PATHS = st.sampled_from(
    [
        *(
            "c.yaml",
            "f.yaml",
            "run",
            "empty",
            "file",
            "none",
            ".",
            "..",
            "",
            "/dev/null",
            "/dev/zero",
        ),
        *("run/config.yaml", "run/checkpoints", "file/below", "none/below", "a" * 300, "b/" * 3000),
        *("~", "~nobody", "~\udcff/x", "$HOME", "${", "[/b]", "[bold]x", ":smile:", "x\udcff.yaml"),
        *(
            "quickstart",
            "tmaze",
            "-",
            "--",
            "*.yaml",
            "con\nfig",
            "\x1b[31m",
            "a.png",
            "x.mp4",
            "t.csv",
        ),
    ]
)
NUMBERS = st.sampled_from(
    [
        *(
            "0",
            "1",
            "2",
            "-1",
            "1.5",
            "nan",
            "-nan",
            "inf",
            "-inf",
            "1e5",
            "1e999",
            "0x10",
            "1_000",
        ),
        *("9" * 30, "9" * 5000, "0x" + "f" * 6000, "1,2", "1,,", "8,x", "٣", "²", "true", "null"),
    ]
)
NAMES = st.sampled_from(
    [
        *(
            "best",
            "newest",
            "train",
            "test",
            "validation",
            "unseen_levels",
            "memory/TMaze-8",
            "bigfish",
        ),
        *(
            "slurm",
            "ray-up",
            "kuberay",
            "lstm",
            "srwm",
            "cpu",
            "cuda",
            "auto",
            "envs",
            "agent.srwm",
        ),
    ]
)

# A short line that stands for 9 ** 7 values.
BILLIONS = (
    ", ".join(["[&a0 [x]", *(f"&a{i + 1} [{', '.join([f'*a{i}'] * 9)}]" for i in range(7))]) + "]"
)
# YAML that is not what it looks like.
SNIPPETS = st.sampled_from(
    [
        *(
            "!!int ''",
            "!!int x",
            "!!float ''",
            "!!bool x",
            "!!timestamp now",
            "!!binary '?'",
            "!!null x",
        ),
        *(
            "2020-13-45",
            "2020-01-01",
            "0000-00-00 00:00:00",
            "1:2:3",
            "0o8",
            "08",
            "1__0",
            "_",
            "+",
            ".e+",
        ),
        *(
            "&a [*a]",
            "&a {b: *a}",
            "*none",
            "&a",
            "{<<: 3}",
            "{<<: [1]}",
            "{? [a] : b}",
            "{? {} : b}",
        ),
        *(
            "{a: 1, a: 2}",
            "{1: 2, 1.0: 3}",
            "{null: 1}",
            "!!set {a, b}",
            "!!omap [a]",
            "!!pairs [[]]",
        ),
        *(
            "!!python/object/apply:os.mkdir [canary]",
            "!!python/name:os.system",
            "!local x",
            "!<> x",
        ),
        *("[" * DEEP, "{a: " * DEEP, "- " * DEEP, "'", '"\\ud800"', '"\\0"', '"\\xff\\U0001F600"'),
        *(
            "|",
            ">-",
            "%",
            "@",
            "`",
            "? ",
            "--- ---",
            "...",
            "#",
            "\t",
            "\ufeff",
            "\x85",
            "\u2028",
            "=",
            "",
        ),
        BILLIONS,
    ]
)
OWN_MODULES = [
    "",
    ".",
    "..",
    "no_such",
    "a.b",
    ".a",
    "ends",
    "fails",
    "os",
    "a\0b",
    "\ud800",
    "a b",
]

ANY_TEXT = st.text(st.characters(), max_size=12)  # also NUL and lone surrogates
SCALARS = (
    st.none()
    | st.booleans()
    | st.integers(-3, 300)
    | st.sampled_from([2**31, 2**63, 2**64, 10**30, -(10**30), 10**4000])
    | st.floats()
    | ANY_TEXT
    | st.dates()
    | st.binary(max_size=4)
    | PATHS
    | NAMES
)
TREES = st.recursive(
    SCALARS,
    lambda children: (
        st.lists(children, max_size=3)
        | st.dictionaries(
            ANY_TEXT | st.integers() | st.none() | st.sampled_from(KEYS), children, max_size=3
        )
    ),
    max_leaves=6,
)
MODULES = st.lists(st.sampled_from(OWN_MODULES), max_size=2)


@st.composite
def config_trees(draw):
    """A configuration of either kind with some values or sections replaced."""
    tree = draw(st.sampled_from([TMAZE, FEWSHOT]))
    for _ in range(draw(st.integers(0, 3))):
        key = draw(st.sampled_from([*KEYS, *SECTIONS]) | ANY_TEXT)
        tree = with_value(tree, key.split("."), draw(MODULES if key == "imports" else TREES))
    return tree


def with_value(tree, path, value):
    """Return a copy with a value at a path; what is in its way is replaced."""
    tree = dict(tree) if isinstance(tree, dict) else {}
    tree[path[0]] = with_value(tree.get(path[0]), path[1:], value) if path[1:] else value
    return tree


def tree_files():
    """The bytes of a configuration that is YAML."""
    return config_trees().map(lambda tree: yaml.safe_dump(tree).encode())


def text_files():
    """The bytes of a configuration that is hardly YAML, or not even text."""
    return (
        st.lists(lines(), max_size=4).map(lambda text: "\n".join(text).encode("utf-8", "replace"))
        | damaged(yaml.safe_dump(TMAZE).encode())
        | st.binary(max_size=40)
    )


def lines():
    """A line such as `seed: !!int ''`."""
    keys = st.sampled_from([*KEYS, "envs", "agent", "episodes", "total_frames", "seed"]) | ANY_TEXT
    return st.builds("{}: {}".format, keys, SNIPPETS | NUMBERS | ANY_TEXT) | SNIPPETS


@st.composite
def damaged(draw, whole):
    """Some bytes with others at one place."""
    at = draw(st.integers(0, len(whole)))
    return whole[:at] + draw(st.binary(max_size=3)) + whole[at + draw(st.integers(0, 30)) :]


def overrides():
    """KEY=VALUE."""
    keys = st.sampled_from([*KEYS, *SECTIONS, "a" * 5000, "a." * DEEP + "a", "seed.x"]) | WORDS
    values = NUMBERS | PATHS | NAMES | SNIPPETS.filter(lambda text: "\0" not in text) | WORDS
    return st.builds("{}={}".format, keys, values).filter(
        lambda text: not text.startswith("imports")
    )


@functools.cache
def options():
    """Return the options of each command, by the words that call it."""
    found = {}
    for name in cli.COMMANDS:
        command = cli.srwm.get_command(None, name)
        for words, each in [
            ((name,), command),
            *(((name, sub), child) for sub, child in getattr(command, "commands", {}).items()),
        ]:
            found[words] = [
                opt for parameter in each.params for opt in parameter.opts if opt[0] == "-"
            ]
    return found


@st.composite
def commands(draw):
    """The arguments of a command, with its own options and those of others."""
    words = draw(st.sampled_from(sorted(options())))
    own = options()[words] or ["--help"]
    others = sorted({name for names in options().values() for name in names})
    option = st.sampled_from(own) | st.sampled_from([*others, "-x", "-h", "--seed", "--", "---"])
    value = PATHS | NUMBERS | NAMES | WORDS
    given = st.lists(
        st.tuples(option, value) | st.tuples(PATHS) | st.tuples(overrides()) | st.tuples(value),
        max_size=5,
    )
    return [*words, *(word for group in draw(given) for word in group)]
