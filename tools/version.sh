#!/bin/sh
# Print the version: the release in the file VERSION and, unless this is the
# commit of its tag (v1.2.3 for release 1.2.3), after a + which commit it is.
# Archives made by git know theirs from .git_archival.
cd "$(dirname "$0")/.." || exit 1
release=$(cat VERSION) dirty=
if [ -e .git ]; then
    commit=$(git log -1 --format='%h %D' 2> /dev/null)
    git diff --quiet HEAD 2> /dev/null || dirty=.dirty
else
    read -r commit < .git_archival
fi
case "$commit,$dirty" in
[!0-9a-f]* | ,* | *"tag: v$release,") echo "$release" ;;
*) echo "$release+g${commit%% *}$dirty" ;;
esac
