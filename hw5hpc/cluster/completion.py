"""Shell completion for jobs/*.py: a small script for bash, which zsh reads as well."""

import re
from argparse import ArgumentParser
from collections.abc import Mapping

from hw5hpc.cluster import causes
from hw5hpc.cluster.cancel import STATES
from hw5hpc.data.sets import DATA_SETS

# An option that takes a value, in a usage line: --jobs N
VALUED = re.compile(r"(--[\w-]+) [A-Z]")
# zsh takes ":COMP_CWORD" in a slice for a modifier, so the number is worked out before.
HEAD = """\
# Completion for python jobs/NAME.py in bash and zsh. Put into ~/.bashrc or ~/.zshrc:
#   source <(python {root}/jobs/completion.py)
if [ -n "$ZSH_VERSION" ]; then autoload -Uz compinit bashcompinit; compinit -u; bashcompinit; fi
_hw5hpc() {{
  local script="" sweep="" out="${{HW5HPC_OUT:-{out}}}" options="" takes="" names="" last="" one
  local word="${{COMP_WORDS[COMP_CWORD]}}" count=$((COMP_CWORD-1))
  COMPREPLY=()
  for one in "${{COMP_WORDS[@]:1:$count}}"; do
    # bash makes a word of its own of each =, zsh does not.
    case "$last" in
      --out) out="$one";;
      {valued}) ;;
      --*=) ;;
      ?*=) [ "$sweep=" != "$last" ] || {{ one="$last$one"; sweep="$one"; }};;
      *) case "$one" in
           -*|=) ;;
           *jobs/*.py) script="${{one##*/}}";;
           *) [ -z "$script" ] || sweep="${{sweep:-$one}}";;
         esac;;
    esac
    [ "$one" = = ] && last="$last=" || last="$one"
  done
  [ "$word" != = ] || {{ last="$last="; word=""; }}
  [ -n "$script" ] || return
  case "$script" in
"""
TAIL = """\
  esac
  case "$last" in
    --retry-failed=) names="{causes}";;
    --cluster) names="$(ls {root}/slurm 2>/dev/null | sed -n 's/\\.yaml$//p')";;
    --state) names="{states}";;
    --out|--root) ;;
    *) case "$takes:$sweep" in
         data:*) names="{data}";;
         sweep:|points:) names="$(ls "$out/sweeps" 2>/dev/null)
$(ls {root}/sweeps sweeps 2>/dev/null | sed -n 's/\\.yaml$//p')";;
         points:*) names="$(sed -n 's/,.*//;2,$p' "$out/sweeps/$sweep/points.csv" 2>/dev/null)";;
       esac;;
  esac
  case "$word" in
    --retry-failed=*) names="$(printf -- '--retry-failed=%s ' {causes})";;
    -*) names="$options";;
  esac
  # compgen would execute what a name that others chose says.
  names="$(printf '%s' "$names" | tr -s ' ' '\\n' | grep -x -- '[[:alnum:]._=,+-]*')"
  COMPREPLY=($(compgen -W "$names" -- "$word"))
}}
complete -o bashdefault -o default -F _hw5hpc python python3
"""


def script(parsers: Mapping[str, ArgumentParser], root: str, out: str) -> str:
    """Return the script for {file's name: its parser} of the project at `root`.

    `out` is the output folder of commands that name none; both are words of the shell.
    """
    cases = [
        f'    {name}) options="{" ".join(options(parser))}" takes="{takes(parser)}";;\n'
        for name, parser in parsers.items()
    ]
    lists = {"causes": causes.NAMES, "states": STATES, "data": sorted(DATA_SETS)}
    words = {name: " ".join(found) for name, found in lists.items()}
    usages = " ".join(parser.format_usage() for parser in parsers.values())
    valued = "|".join(sorted(set(VALUED.findall(usages)) - {"--out"}))
    head = HEAD.format(root=root, out=out, valued=valued or "--cluster")
    return head + "".join(cases) + TAIL.format(root=root, **words)


def options(parser: ArgumentParser) -> list[str]:
    """Return a parser's long options, without those that its help does not show."""
    return sorted({word for word in _usage(parser) if word.startswith("--")} | {"--help"})


def takes(parser: ArgumentParser) -> str:
    """Return what its words are: a sweep, a sweep and its points, data sets, or '' for others."""
    words = _usage(parser)
    if "POINT" in words:
        return "points"
    return "sweep" if {"sweep", "file"} & {*words} else "data" if "DATA" in words else ""


def _usage(parser: ArgumentParser) -> list[str]:
    # argparse has no public list of its arguments; its usage line names each of them.
    return parser.format_usage().replace("[", " ").replace("]", " ").split()
