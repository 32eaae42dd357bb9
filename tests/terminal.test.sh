#!/usr/bin/env bash
# What a person sees on a terminal, and a program where there is none: lines for
# programs, progress, colours, warnings. Prints TAP.
# shellcheck source=tests/tap.bash
. "$(dirname "$0")/tap.bash"
command -v script > /dev/null || why_not="needs script (util-linux)"
export TERM=xterm-256color LC_ALL=C.UTF-8
unset NO_COLOR

# on_terminal COMMAND...: both outputs on one, in $dir/out
on_terminal() {
    timeout -k 5 600 script -qec "$(printf '%q ' "$@")" /dev/null < /dev/null > "$dir/out"
}

cat > "$dir/x.yaml" <<'EOF2'
model: mixtral-8x7b
cluster: a100-nvlink
trace: mixtral-8x7b-mmlu
workload: {batch: 2, seq: 16, layers: "0", iterations: 12, warmup: 1, seed: 3}
emulation: {ffn: none, scale: 128, rebalance_every: 20}
strategies:
  - {name: baseline, predictor: none, planner: static}
  - {name: balanced, predictor: distribution, planner: duplicate, slots: 6}
EOF2
check "a run is made" kept ranks 4 ./moegps run "$dir/x.yaml" -q -o "$dir/a.h5"
check "... of which is warned" err_has "warning: emulation.rebalance_every: 20 is more than"
check "and another" kept ranks 4 ./moegps run "$dir/x.yaml" -q -o "$dir/b.h5"
check "and a sweep of both" kept ./moegps merge "$dir/a.h5" "$dir/b.h5" -o "$dir/sweep.h5"

# The commands that print documents.
run=("$MPIRUN" -n 4 ./moegps run "$dir/x.yaml" -q --force -o "$dir/r.h5")
report=(./moegps report "$dir/a.h5")
compare=(./moegps compare "$dir/a.h5" "$dir/b.h5")
map=(./moegps map --model mixtral-8x7b --clusters a100-nvlink --skews 1,2)
sweep=(./moegps report "$dir/sweep.h5")
advise=(./moegps advise --trace mixtral-8x7b-tokens --model mixtral-8x7b --cluster a100-nvlink --gpus 4
    --batch 1 --seq 0)
plan=(./moegps plan --loads jobs/traces/mixtral-8x7b-mmlu.h5 --gpus 4)
evaluate=(./moegps evaluate -t mixtral-8x7b-tokens -p token,frequency --repeats 1)
merge=(./moegps merge "$dir/a.h5" "$dir/b.h5" --force -o "$dir/sweep.h5")

# ---- progress: on a terminal only, and gone at the end ----

# goes WHAT COMMAND...
goes() {
    on_terminal "${@:2}" || return 1
    grep -aoE "\[#+\] ([0-9]+)/\1 $1, 0 s to go" "$dir/out" | finds . || { echo "no progress of $1"; return 1; }
    grep -aqF $'to go \r\e[K' "$dir/out" || { echo "it stays"; return 1; }
}
silent() { exits 0 "$@" && is "$(grep -c 'to go' "$dir/err")" 0 && not grep -q 'to go' "$dir/out"; }
check "merge says how far it is" goes files "${merge[@]}"
check "... to a terminal only" silent "${merge[@]}"
for command in plan:steps evaluate:percent; do
    declare -n words=${command%:*}
    check "${command%:*} says how far it is" goes "${command#*:}" "${words[@]}"
    check "... to a terminal only" silent "${words[@]}"
done
# It draws every tenth of a second, which advice may not take; then it clears.
check "advise on a trace shows progress, and clears it" on_terminal "${advise[@]}"
check "... before it says anything" grep -aq $'\r\e\[K' <(head -n 1 "$dir/out")
check "... to a terminal only" silent "${advise[@]}"

# ---- lines for programs ----

foms() { grep -ac '^FOM ' "$dir/out"; }
# for_programs COMMAND...: left out on a terminal, unless asked for
for_programs() {
    on_terminal "$@" && is "$(foms)" 0 || return 1
    kept "$@" && [ "$(foms)" -gt 0 ] || { echo "none where there is no terminal"; return 1; }
    on_terminal "$@" --fom && [ "$(foms)" -gt 0 ] || { echo "none with --fom"; return 1; }
}
for command in run report sweep compare map; do
    declare -n words=$command
    check "FOM lines of $command are for programs" for_programs "${words[@]}"
done

# ---- colours ----

# Those of the result, by its word; others are bold and the one of warnings.
coloured() {
    on_terminal "$@" || return 1
    grep -aoP '\e\[[0-9;]*m' "$dir/out" | sort -u | grep -avP '\e\[(0|1|31|32|33)m' && return 1
    grep -aqP '\e\[' "$dir/out" || { echo "none"; return 1; }
    ! grep -a '^RESULT: VALID' "$dir/out" || { echo "a plain result"; return 1; }
}
plain() { on_terminal env NO_COLOR=1 "$@" && ! grep -aoP '\e\[[0-9;]*m' "$dir/out" | finds .; }
for command in run report sweep map advise; do
    declare -n words=$command
    check "$command has the colours of all" coloured "${words[@]}"
    check "... and none with NO_COLOR" plain "${words[@]}"
done

# ---- warnings ----

# once COMMAND...: each once to the reader of both outputs
once() {
    on_terminal "$@" || return 1
    tr -d '\r' < "$dir/out" | sed 's/\x1b\[[0-9;]*m//g; s/^ */ /' | tr -d '\n' > "$dir/flat"
    is "$(grep -o 'rebalance_every: 20 is more' "$dir/flat" | wc -l)" "$times" &&
        is "$(grep -o 'oversubscribed: rank' "$dir/flat" | wc -l)" "$shared"
}
times=1 shared=$([ "$(nproc)" -lt 4 ] && echo 1 || echo 0)
check "a run says each warning once" once "${run[@]}"
check "... and its report" once ./moegps report "$dir/r.h5"
split() { "${run[@]}" > "$dir/out" 2> "$dir/err"; }
check "what goes into two files has it in both" split
check "... in the report" out_has "WARNING: emulation.rebalance_every: 20 is more"
check "... and beside it" err_has "warning: emulation.rebalance_every: 20 is more"
times=0 shared=0
check "a comparison repeats none of its runs" once "${compare[@]}"
check "nor does merge" once "${merge[@]}"
finish
