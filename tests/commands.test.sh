#!/usr/bin/env bash
# What all commands have in common: help, version, refusals, names of options.
# Prints TAP.
# shellcheck source=tests/tap.bash
. "$(dirname "$0")/tap.bash"

# program WORDS...: reading nothing; the limit is for what hangs
program() { timeout -k 5 600 ./moegps "$@" < /dev/null; }

# subcommands WORDS...: names that the help of a program lists.
subcommands() { ./moegps "$@" --help | sed -n 's/^  \([a-z]*\) .*/\1/p'; }

helps() {
    exits 0 program "$@" && [ ! -s "$dir/err" ] &&
        head -n 1 "$dir/out" | finds "^Usage: moegps ${*:1:$#-1}"
}
version() {
    exits 0 program "$@" && [ ! -s "$dir/err" ] && cmp -s "$dir/out" "$dir/version"
}
# rejects TEXT WORDS...
rejects() { refused 2 "$1" program "${@:2}"; }

# What must be given: all that follows [OPTION...] in the usage.
required() { ./moegps "$@" --help | sed -n '1s/.*\[OPTION...\] *//p'; }

./moegps --version > "$dir/version"
check "the version names the program" grep -q "^moegps ." "$dir/version"
mapfile -t commands < <(subcommands | grep -v '^trace$'; subcommands trace | sed 's/^/trace /')
check "there are commands" [ "${#commands[@]}" -ge 17 ]
for c in "" trace "${commands[@]}"; do
    read -ra words <<< "$c"
    for option in -h --help; do
        check "moegps $c $option" helps "${words[@]}" $option
    done
    for option in -V --version; do
        check "moegps $c $option" version "${words[@]}" $option
    done
done
for c in "${commands[@]}"; do
    read -ra words <<< "$c"
    check "moegps $c refuses a wrong option" rejects "'--no-such-option': no such option" \
        "${words[@]}" --no-such-option
    check "moegps $c refuses a wrong letter" rejects "'-Z': no such option" "${words[@]}" -Z
    if [ -n "$(required "${words[@]}")" ]; then
        check "moegps $c says what it needs" rejects "needed (see moegps $c --help)" "${words[@]}"
    fi
done
check "an unknown command is refused" rejects "'riport' is not one of run, train" riport
check "... and the one that was meant is named" rejects "; did you mean report? (see moegps --help)" reprot
# Every line of options is one, or goes on beside one; none is blank or too wide.
in_order() {
    local c
    for c in "${commands[@]}"; do
        read -ra words <<< "$c"
        ./moegps "${words[@]}" --help | sed '1,/^$/d' |
            grep -nvE '^(  -., --|      --)[a-z].{0,72}$|^ {29}[^ ].{0,49}$|^  [a-z]+ |^$|^`|^Example: moegps|^Example: mpirun' &&
            { echo "$c"; return 1; }
    done
    return 0
}
check "help has no stray lines" in_order

# Examples work as they are, one after the other, where jobs/ is; what they read
# is there. Of a run it is checked that it would.
ranks 4 env MOEGPS_TEST_RESULT="$dir/run.h5" "$BUILD/tests/parallel/test_results" > /dev/null 2>&1
cp "$dir/run.h5" "$dir/again.h5"
ranks 2 env MOEGPS_TEST_RESULT="$dir/wider.h5" "$BUILD/tests/parallel/test_results" > /dev/null 2>&1
ln -s "$PWD/jobs" "$dir/jobs"
printf 'gpu,op,gpus,buffer_bytes\nh100_sxm,alltoall,8,1048576\n' > "$dir/sizes.csv"
printf 'step,layer,expert,count\n' > "$dir/loads.csv"
for i in {0..7}; do echo "0,0,$i,2"; done >> "$dir/loads.csv"
"$PYTHON" tests/golden_measured.py "$dir" && mv "$dir/a2a.txt" "$dir/alltoall.txt"
works() { # COMMAND: its example, without a launcher
    local line
    line=$(./moegps "$@" --help | sed -n 's/^Example: //p')
    [[ $line == *"moegps $*"* ]] || { echo "no example"; return 1; }
    line=${line#mpirun -n 4 }
    [ "$1" != run ] || line+=" --dry-run"
    (dir=$dir/ && cd "$dir" && eval "${line/moegps/\"$OLDPWD/moegps\"}")
}
for c in "${commands[@]}"; do
    read -ra words <<< "$c"
    [ "$c" = trace ] || [ "$c" = doctor ] || check "the example of moegps $c works" works "${words[@]}"
done

helped() { cmp <(./moegps help "$@") <(./moegps "$@" --help); }
check "help COMMAND explains it" helped plan
check "... however deep it is" helped trace import
check "... if there is one" rejects "'plam' is not one of run" help plam
check "an unknown kind of list is refused" rejects "KIND: 'modles' is not one of predictors" list modles

# Letters and names mean the same everywhere; old names work unseen.
letters() {
    for c in "${commands[@]}"; do
        read -ra words <<< "$c"
        ./moegps "${words[@]}" --help | sed -n 's/^  -\(.\), --\([a-z-]*\).*/\1 \2/p'
    done | sort -u > "$dir/letters"
    ! cut -d' ' -f1 "$dir/letters" | uniq -d | grep . && ! cut -d' ' -f2 "$dir/letters" | sort | uniq -d | grep .
}
check "a letter is one option in all commands" letters
hidden() {
    for c in "${commands[@]}"; do
        read -ra words <<< "$c"
        ./moegps "${words[@]}" --help
    done > "$dir/helps"
    ! grep -E -- '--(out|rebalance-every|cluster, |skew, )[= ]' "$dir/helps" &&
        grep -q -- '--output=' "$dir/helps"
}
check "old names are not shown" hidden
names() {
    local c option
    while read -r option c; do
        for c in $c; do
            ./moegps "$c" --help | grep -- " --$option=" > /dev/null || { echo "$c: no --$option"; return 1; }
        done
    done <<- 'END'
		slots advise map plan
		replicas advise map plan
		interval advise map plan
		batch advise evaluate plan
		output run train report merge cost map calibrate
		json run report compare evaluate advise plan
	END
}
check "the same thing has the same name" names

# same WORDS of one call -- WORDS of the other: equal output, times apart
same() {
    local first=()
    while [ "$1" != -- ]; do
        first+=("$1")
        shift
    done
    shift
    exits 0 program "${first[@]}" && grep -v "planner time" "$dir/out" > "$dir/first" || return 1
    exits 0 program "$@" && grep -v "planner time" "$dir/out" | cmp -s - "$dir/first"
}
printf 'e0,e1,e2,e3\n5,2,9,1\n1,3,1,1\n' > "$dir/loads.csv"
plan=(plan --loads "$dir/loads.csv" --gpus 2)
advise=(advise --model mixtral-8x7b --cluster a100-paper --gpus 4 --skew 2 --no-limits)
map=(map --model mixtral-8x7b)
check "--slots per GPU are --replicas of all in plan" same "${plan[@]}" --slots 3 -- "${plan[@]}" --replicas 6
check "... and not any number" eval '! same "${plan[@]}" --slots 3 -- "${plan[@]}" --slots 4'
check "... in advise" same "${advise[@]}" --slots 3 -- "${advise[@]}" --replicas 12
check "... in map" same "${map[@]}" --clusters a100-paper --slots 3 -- "${map[@]}" --clusters a100-paper --replicas 12
check "both are refused" rejects "give one of them" "${plan[@]}" --slots 3 --replicas 6
check "replicas that do not divide are refused" rejects "13 slots do not divide among 4 GPUs" \
    "${advise[@]}" --replicas 13
check "--rebalance-every is --interval" same "${advise[@]}" --interval 7 -- "${advise[@]}" --rebalance-every 7
check "... which changes something" eval '! same "${advise[@]}" --interval 7 -- "${advise[@]}"'
check "lists of map have their singular" same \
    "${map[@]}" --clusters a100-paper --skews 2 --batches 4 --accuracies 0.8 --bandwidths 1e11 -- \
    "${map[@]}" --cluster a100-paper --skew 2 --batch 4 --accuracy 0.8 --bandwidth 1e11
made() {
    exits 0 program "$@" && [ -s "$dir/made.h5" ] && rm "$dir/made.h5"
}
for option in -o --output --out; do
    check "$option names what is made" made trace synth --seqs 2 "$option" "$dir/made.h5"
done

# Man pages have every command and option that --help has.
tools/man.sh ./moegps "$dir/man"
check "a man page for each command" is "$(find "$dir/man" -name '*.1' | wc -l)" "$((${#commands[@]} + 2))"
paged() {
    local c option
    for c in "${commands[@]}"; do
        ./moegps $c --help | grep -oE -- '^ +(-., )?--[a-z-]+' | grep -oE -- '--[a-z-]+' |
            while read -r option; do
                grep -qE -- "^\.B .*${option//-/'\\-'}(=|\\[|\$)" "$dir/man/moegps-${c// /-}.1" ||
                    { echo "$c: $option"; return 1; }
            done || return 1
    done
}
check "... with all its options" paged
if command -v groff > /dev/null; then
    check "... that groff understands" is "$(groff -man -ww -z -Tutf8 "$dir"/man/*.1 2>&1)" ""
fi

# completes WORDS REPLY...: of words, the last of which is to be completed
completes() {
    is "$(PATH=$PWD:$PATH bash -c '. tools/completion.bash; COMP_WORDS=($1); COMP_CWORD=$((${#COMP_WORDS[@]} - 1))
        [ -z "$2" ] || { COMP_WORDS+=(""); COMP_CWORD=$((COMP_CWORD + 1)); }
        _moegps; echo "${COMPREPLY[*]}"' bash "${1% }" "$([ "$1" = "${1% }" ] || echo new)")" "$2"
}
check "bash completes commands" completes "moegps rep" "report"
check "... of commands" completes "moegps trace im" "import"
check "... options" completes "moegps run --max" "--max-time="
check "... names" completes "moegps advise --model mix" "mixtral-8x7b"
check "... also behind =" completes "moegps plan --planner = epl" "eplb"
check "... kinds of lists" completes "moegps list mod" "models"
check "... and leaves files to the shell" completes "moegps report " ""



# a model's keys, and what each was read from
mkdir "$dir/glm" && cat > "$dir/glm/config.json" <<- 'END'
	{"model_type": "glm4_moe", "num_hidden_layers": 46, "first_k_dense_replace": 1, "n_routed_experts": 128,
	 "num_experts_per_tok": 8, "hidden_size": 4096, "moe_intermediate_size": 1408, "n_shared_experts": 1,
	 "num_attention_heads": 96, "num_key_value_heads": 8, "head_dim": 128, "torch_dtype": "bfloat16"}
END
check "keys of a config are shown" says "layers: 45 # num_hidden_layers 46 less 1 dense" ./moegps list models \
    "$dir/glm/config.json"
check "... each with where it is from" out_has "intermediate: 1408 # moe_intermediate_size"
check "... so are a profile's" says "intermediate:" ./moegps list models mixtral-8x7b
check "advice takes a config" says "modelled: glm on 8 GPUs" ./moegps advise --model "$dir/glm/config.json" \
    --cluster h100-nvlink --gpus 8 --skew 2 --error 0.05 --accuracy 0.8
check "what is no model is refused" refused 2 "no 'nothing'" ./moegps list models nothing
check "others are not shown one by one" refused 2 "only models are shown one by one" ./moegps list clusters l40s

# files of one command
printf 'layer,expert,count\n0,0,4\n0,1,4\n0,2,4\n0,3,4\n' > "$dir/loads.csv"
ln -s "$dir/loads.csv" "$dir/link.csv"
cp "$dir/loads.csv" "$dir/was.csv"
while IFS='|' read -r text words; do
    # shellcheck disable=SC2086 # words
    check "refuses ${words//@/}" rejects "$text" ${words//@/$dir/}
done <<- 'EOF2'
	--output and --json: both write|plan --loads @loads.csv --gpus 2 -o @x --json @x
	--emit and --emit: both write|plan --loads @loads.csv --gpus 2 --emit sglang=@x --emit vllm=@x
	--emit and --json: both write|plan --loads @loads.csv --gpus 2 --emit sglang=@x --json @./x
	loads.csv is what --loads reads|plan --loads @loads.csv --gpus 2 --json @loads.csv --force
	link.csv is what --loads reads|plan --loads @loads.csv --gpus 2 --json @link.csv --force
	loads.csv is what FILE reads|trace import @loads.csv --model x --top-k 2 -o @loads.csv --force
	--json and --csv: both write standard output|evaluate --trace mixtral-8x7b-mmlu --predictors none --csv - --json -
	loads.csv is what --csv reads|cost --op gemm --csv @loads.csv -o @loads.csv --force
EOF2
check "... and nothing is written over" cmp "$dir/loads.csv" "$dir/was.csv"
check "... or made" [ ! -e "$dir/x" ]
drawn() {
    printf 'step,layer,expert,count\n0,0,0,4\n0,0,1,2\n1,0,0,2\n1,0,1,4\n' > "$dir/two.csv"
    mkdir -p "$dir/page/figures" && echo mine > "$dir/page/figures/drift.csv" &&
        rejects "drift.csv: exists (--force replaces it)" plan --loads "$dir/two.csv" --gpus 2 -o "$dir/page" &&
        is "$(cat "$dir/page/figures/drift.csv")" mine
}
check "figures are not written over, either" drawn
finish
