#!/usr/bin/env bash
# Guess: to install litserve into an environment adds a command litserve, and leaves those of other packages alone.
# Really: its wheel also has a command `lightning`. pip writes it over that of any other package silently, such as of
#   one whose users type `lightning fit`; uninstalling litserve then removes it.
# Version: litserve 0.2.19
# Seen: before: of the other package | after: of litserve | uninstalled: no command
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -r "$folder"' EXIT
python3 -m venv "$folder/venv"
pip=("$folder/venv/bin/pip" --quiet --disable-pip-version-check)
mkdir "$folder/other"
cat > "$folder/other/pyproject.toml" <<'TOML'
[build-system]
requires = ["setuptools==80.9.0"]
build-backend = "setuptools.build_meta"
[project]
name = "other"
version = "1"
[project.scripts]
lightning = "other:main"
[tool.setuptools]
py-modules = ["other"]
TOML
echo 'def main(): pass' > "$folder/other/other.py"
told() {
    local script="$folder/venv/bin/lightning"
    if [[ ! -e $script ]]; then echo "no command"; elif grep -q litserve "$script"; then echo "of litserve"; else echo "of the other package"; fi
}
"${pip[@]}" install "$folder/other"
seen="before: $(told)"
"${pip[@]}" install --no-deps litserve==0.2.19
seen+=" | after: $(told)"
"${pip[@]}" uninstall --yes litserve
seen+=" | uninstalled: $(told)"
echo "$seen"
[[ $seen == "before: of the other package | after: of litserve | uninstalled: no command" ]]
