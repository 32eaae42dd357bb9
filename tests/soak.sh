#!/usr/bin/env bash
# Stop, kill and starve runs at random for some time, resume them until they are
# complete, and compare each with a run that was left alone.
#   tests/soak.sh [MINUTES [SEED]]
# Prints a line for each run: what befell it and how often it was resumed. Ends
# with 1 where one did not end as it should, hung, or came out otherwise; the
# seed repeats it as far as time does.
# shellcheck source=tests/tap.bash
. "$(dirname "$0")/tap.bash"
ITERATIONS=1500 # blows fall within two seconds
# shellcheck source=tests/survive.bash
. "$(dirname "$0")/survive.bash"
minutes=${1:-120} seed=${2:-$((EPOCHSECONDS % 32768))}
RANDOM=$seed
end=$((SECONDS + 60 * minutes))
declare -A count=()
SITES=(config trace setup predictor batch predict plan ffn create write finish)

ENDS=(-n -o) # the newest rank, the oldest

# One blow to the run PID that writes FILE, after up to two seconds.
KINDS=(kill term usr1 int launcher stop time site)
strike() { # KIND PID FILE
    sleep "$((RANDOM % 2)).$((RANDOM % 10))"
    case $1 in
    kill) ranks_of "$3" -9 "${ENDS[RANDOM % 2]}" ;;
    term) ranks_of "$3" -TERM -o ;;
    usr1) ranks_of "$3" -USR1 -n ;;
    int) ranks_of "$3" -INT -o ;;
    launcher) pkill -TERM -P "$2" -f mpirun ;; # below timeout
    stop) ranks_of "$3" -STOP -n ;;
    esac
}

# attempt FILE RANKS: one run that something befalls
attempt() {
    local kind=${KINDS[RANDOM % ${#KINDS[@]}]} rc=0 pid limits=()
    case $kind in
    time) limits=(--max-time "1.$((RANDOM % 10))") ;;
    site) limits=(--inject "${SITES[RANDOM % ${#SITES[@]}]}:$((RANDOM % $2))") ;;
    stop) limits=(--watchdog "$(patience 3)") ;;
    esac
    run "$2" "$1" --resume -q "${limits[@]}" > "$dir/out" 2> "$dir/err" &
    pid=$!
    case $kind in time | site) ;; *) strike "$kind" "$pid" "$1" ;; esac
    wait "$pid" || rc=$?
    story+=" $kind:$rc"
    count[$kind]=$((${count[$kind]:-0} + 1))
    await 20 not ranks_of "$1" -0 > "$dir/said" || { echo "ranks are left"; return 1; }
    # 124: timeout found it hanging; 139: a crash
    case $rc in
    124 | 132 | 134 | 135 | 136 | 139) return 1 ;;
    3) [ "$kind" = site ] ;;
    *) ! grep -qiE 'segmentation|corrupt|sanitizer|assert' "$dir/err" ;;
    esac
}

declare -A whole=()
runs=0 attempts=0
while [ "$SECONDS" -lt "$end" ]; do
    n=$((2 + RANDOM % 3)) story='' file=soak$runs.h5 limit_s=$(patience 600)
    if [ -z "${whole[$n]:-}" ]; then
        run "$n" "whole$n.h5" -q > "$dir/out" 2> "$dir/err" || { cat "$dir/err"; exit 1; }
        whole[$n]=whole$n.h5
    fi
    for ((i = 0; i < 6; i++)); do
        attempts=$((attempts + 1))
        attempt "$file" "$n" || { echo "seed $seed: FAILED:$story"; cat "$dir/err"; exit 1; }
        [ ! -e "$dir/$file" ] || [ "$(from "$file" "f.attrs['status']")" != complete ] || break
    done
    { run "$n" "$file" --resume -q > "$dir/out" 2> "$dir/err" && same "${whole[$n]}" "$file"; } ||
        { echo "seed $seed: FAILED:$story, then resumed"; cat "$dir/err"; exit 1; }
    rm -f "$dir/$file" "$dir/$file".*
    runs=$((runs + 1))
    echo "run $runs on $n ranks:$story"
done
for k in "${!count[@]}"; do echo "$k ${count[$k]}"; done | sort
echo "soak: $minutes min, seed $seed: $runs runs, $attempts attempts, all resumed and equal"
