"""Shell completion for jobs/*.py: a small script for bash, which zsh reads as well."""

from argparse import ArgumentParser
from collections.abc import Mapping

HEAD = """\
# Completion for python jobs/NAME.py in bash and zsh. Put into ~/.bashrc or ~/.zshrc:
#   source <(python {root}/jobs/completion.py)
if [ -n "$ZSH_VERSION" ]; then autoload -Uz compinit bashcompinit; compinit -u; bashcompinit; fi
_hw5hpc() {{
  local word="${{COMP_WORDS[COMP_CWORD]}}" before="${{COMP_WORDS[COMP_CWORD-1]}}" script="" one
  COMPREPLY=()
  for one in "${{COMP_WORDS[@]:1:COMP_CWORD-1}}"; do
    case "$one" in *jobs/*.py) script="${{one##*/}}"; break;; esac
  done
  [ -n "$script" ] || return
  local out="${{HW5HPC_OUT:-outputs}}" options="" names=""
  case "$script" in
"""
TAIL = """\
  esac
  case "$before" in
    --cluster) names="$(ls {root}/slurm 2>/dev/null | sed -n 's/\\.yaml$//p')";;
    --state) names="queued running interrupted";;
    *) names="$(ls "$out/sweeps" 2>/dev/null)
$(ls {root}/sweeps sweeps 2>/dev/null | sed -n 's/\\.yaml$//p')";;
  esac
  case "$word" in -*) names="$options";; esac
  COMPREPLY=($(compgen -W "$names" -- "$word"))
}}
complete -o bashdefault -o default -F _hw5hpc python python3
"""


def script(parsers: Mapping[str, ArgumentParser], root: str) -> str:
    """Return the script for {file's name: its parser} of the project at `root`."""
    cases = [
        f'    {name}) options="{" ".join(options(parser))}";;\n' for name, parser in parsers.items()
    ]
    return HEAD.format(root=root) + "".join(cases) + TAIL.format(root=root)


def options(parser: ArgumentParser) -> list[str]:
    """Return a parser's long options, without those that its help does not show."""
    # argparse has no public list of its options; its usage line names each of them.
    words = parser.format_usage().replace("[", " ").replace("]", " ").split()
    return sorted({word for word in words if word.startswith("--")} | {"--help"})
