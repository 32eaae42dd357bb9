#!/usr/bin/env bash
# moegps calibrate: what benchmarks print becomes tables and a profile. TAP.
. "$(dirname "$0")/tap.bash"

"$PYTHON" tests/golden_measured.py "$dir" || exit 1
calibrate() { # FILES AND OPTIONS...
    rm -f "$dir/t.h5" "$dir/t.yaml"
    ./moegps calibrate -o "$dir/t.h5" --profile h100-nvlink "$@"
}
# priced OP TEXT COLUMNS ROW: a row is priced from the tables that were made
priced() {
    printf '%s\n%s\n' "$3" "$4" > "$dir/in.csv"
    exits 0 ./moegps cost --op "$1" --csv "$dir/in.csv" --tables "$dir/t.h5" && out_has "$4,$2"
}
links=gpu,op,gpus,buffer_bytes
link() { priced alltoall "$2" $links "h100_sxm,$1"; }

# read FILES | what is said of it | a row of the tables, its price
while IFS='|' read -r words text row price; do
    # shellcheck disable=SC2086 # words
    check "reads $words" says "$text" calibrate ${words//@/$dir/}
    check "... and prices $row" link "$row" "$price"
done <<- 'EOF2'
	@a2a.txt|nccl, 18 rows of collectives|alltoall,8,1048576|15.240,tabulated
	@tagged.txt|nccl, 18 rows of collectives|alltoall,8,1048576|15.240,tabulated
	@unnamed.txt --op all_gather --ranks 8|nccl, 18 rows|all_gather,8,1048576|15.240,tabulated
	@all_reduce.json|nccl-json, 18 rows of collectives|all_reduce,4,1048576|14.991,tabulated
	@osu.txt --ranks 4|osu, 20 rows of collectives|alltoall,4,16384|6.640,tabulated
	@op-spelled.csv|columns, 18 rows of collectives|alltoall,8,1048576|15.243,tabulated
	@deepep.txt|deepep, 3 rows of collectives|deepep_ll_dispatch,8,770000|77.000,tabulated
	@deepep.txt|deepep, 3 rows of collectives|deepep_dispatch_fp8,8,70000000|560.000,tabulated
	@deepep.txt|not measured, so as bundled: moe, attention, gemm|deepep_ll_combine,8,1400000|100.000,tabulated
EOF2
check "between rows it interpolates" eval "calibrate '$dir/a2a.txt' > /dev/null && link alltoall,8,1500000 17.500,interp"
check "what a collective had is gone" eval '! link alltoall,4,1048576 | finds tabulated'
check "others stay as bundled" link all_gather,8,1048576 ""
check "rows that the others foretell are said to be" says "each of 16 inner rows left out: median error 0.0 %" \
    calibrate "$dir/a2a.txt"

# what a file says is what counts, also where several runs are in one
cat "$dir/a2a.txt" <(sed s/alltoall/all_reduce/g "$dir/a2a.txt") > "$dir/twice.txt"
check "options are for files that do not say" eval "calibrate '$dir/a2a.txt' '$dir/osu.txt' --ranks 4 > /dev/null &&
    link alltoall,8,1048576 15.240,tabulated"
check "two runs in one file have their own ranks" eval "calibrate '$dir/twice.txt' > /dev/null &&
    link all_reduce,8,1048576 15.240,tabulated"
for name in - "$dir/t.yaml"; do
    check "tables cannot be named ${name##*/}" refused 2 "'$name' cannot be" \
        ./moegps calibrate --profile h100-nvlink "$dir/a2a.txt" -o "$name"
done
named() {
    ./moegps calibrate --profile h100-nvlink "$dir/a2a.txt" -o "$dir/my #1.h5" > /dev/null &&
        ./moegps advise --model mixtral-8x7b --cluster "$dir/my #1.yaml" --gpus 4 --skew 2 > /dev/null
}
check "a name may have blanks and marks" named

# rows that cannot be
check "a row that contradicts its neighbours is named" says \
    "spike.txt:25: h100_sxm measured alltoall gpus=8 at 262144: 33.93 us: left out" calibrate "$dir/spike.txt"
check "... and left out" link alltoall,8,262144 11.313,interpolated
check "a row that took longer than far more work is named" says \
    "fall.csv:2: h100_sxm measured alltoall gpus=8 at 1024: 90 us: left out, as more work took less" \
    calibrate "$dir/fall.csv"
check "repeats that disagree are named" says "repeats.csv:3: h100_sxm measured alltoall gpus=8 at 2048" \
    calibrate "$dir/repeats.csv"

# experts
ffn=gpu,stack,kernel,dtype,hidden,inter,top_k,experts,ep,distribution,tokens
expert() { priced moe_ffn "$2" $ffn "h100_sxm,vllm-0.24.0,measured,bfloat16,4096,14336,2,8,$1"; }
check "reads what benchmark_moe prints" says "fused-moe, 11 rows of moe" calibrate --model mixtral-8x7b "$dir/moe.txt"
check "... with a model for the kernel" out_has "a model is fitted to 11 rows"
check "... and prices it" expert 1,balanced,8 1007.200,tabulated
check "... of split experts, where these were" eval "calibrate --model mixtral-8x7b --ep 2 '$dir/moe.txt' > /dev/null &&
    expert 2,balanced,8 1007.200,tabulated"
check "reads JSON of times" says "fused-moe-json, 5 rows of moe" calibrate --model mixtral-8x7b "$dir/moe.json"
check "... in milliseconds" expert 1,balanced,8 1000.000,tabulated
check "reads a table of tokens and times" says "columns, 4 rows of moe" calibrate --model mixtral-8x7b "$dir/moe.csv"
check "... and prices it" expert 1,balanced,8 1010.000,tabulated
slow=h100_sxm,trtllm-1.3.0rc20,moe_torch_flow_cutlass,fp8,5120,8192,1,16,1,balanced
printf '%s\n' $ffn,latency_us $slow,16,640 $slow,64,660 > "$dir/slow.csv"
calibrate "$dir/slow.csv" > /dev/null
check "bundled rows of a slow kernel give way" priced moe_ffn 660.000,tabulated $ffn $slow,64
check "... also where nothing new was measured" eval \
    'priced moe_ffn "" $ffn $slow,128 && out_has ,extrapolated,'
check "takes the columns of cost" says "columns, 2 rows of gemm" calibrate "$dir/gemm.csv"
check "... and prices them" priced gemm 7.500,tabulated gpu,stack,m,n,k h100_sxm,vllm-0.24.0,128,512,512

# the profile
both() { # it prices by the new tables, from any folder; the model of a kernel is known
    calibrate --model mixtral-8x7b "$dir/moe.txt" "$dir/a2a.txt" > /dev/null && mkdir -p "$dir/moved" &&
        mv "$dir/t.h5" "$dir/t.yaml" "$dir/moved" &&
        ./moegps advise --model mixtral-8x7b --cluster "$dir/moved/t.yaml" --gpus 8 --skew 1 --json "$dir/new.json" &&
        ./moegps advise --model mixtral-8x7b --cluster h100-nvlink --gpus 8 --skew 1 --json "$dir/old.json" &&
        ! cmp -s "$dir/new.json" "$dir/old.json" && grep -q '^tables: t.h5 ' "$dir/moved/t.yaml"
}
check "a profile beside the tables uses them" both
missing() {
    rm "$dir/moved/t.h5"
    exits 2 ./moegps advise --model mixtral-8x7b --cluster "$dir/moved/t.yaml" --gpus 8 --skew 1 &&
        err_has "$dir/moved/t.h5"
}
ran() { # a result file finds the tables again from any folder
    kept ranks 2 ./moegps run -q --force --set model=mixtral-8x7b --set cluster="$dir/moved/t.yaml" \
        --set trace=mixtral-8x7b-mmlu --set workload.iterations=2 --set workload.layers=0 --set emulation.ffn=none \
        -o "$dir/run.h5" jobs/demo.yaml && (cd "$dir" && exits 0 "$OLDPWD/moegps" report run.h5) &&
        grep -qaF "tables: $dir/moved/t.h5" "$dir/run.h5"
}
check "a run by them is reported from elsewhere" ran
check "... and names them where they are gone" missing

# refused
while IFS='|' read -r text words; do
    # shellcheck disable=SC2086 # words
    check "refuses $words" refused 2 "$text" calibrate ${words//@/$dir/}
done <<- 'EOF2'
	does not say which collective it is (--op alltoall|@unnamed.txt --ranks 8
	does not say how many GPUs took part (--ranks)|@unnamed.txt --op alltoall
	does not say how many GPUs took part (--ranks)|@osu.txt
	wrong.txt:17: 5 results were wrong|@wrong.txt
	does not say what experts were computed (--model|@moe.txt
	are tuned configurations, without times|--model mixtral-8x7b @tuned.json
	a log of an older DeepEP|@old-deepep.txt
	'OSU MPI Latency Test v7.2' is no collective|@osu-latency.txt --ranks 2 --op alltoall
	'OSU MPI Bandwidth Test v7.2' is no collective|@osu-bw.txt --ranks 2 --op alltoall
	'OSU MPI Broadcast Latency Test v7.2' is no collective|@osu-bcast.txt --ranks 2
	'OSU MPI Non-blocking All-to-All Latency Test v7.2' is no collective|@osu-ialltoall.txt --ranks 2
	config: ngpus is 8, with 1 devices listed|@ngpus.json --op all_reduce
	config: ngpus is 1.5, with 0 devices listed|@ngpus-half.json --op all_reduce
	op.csv:2: op: 'alltoal' is not alltoall, all_reduce|@op.csv
	gemm of mine on h100_sxm is not among the bundled kernels|@foreign.csv
	is none of nccl, nccl-json, osu, deepep|@else.txt
	none.txt|@none.txt
	a FILE of measurements is needed, or --mpi|
	--mpi measures; files go without it|--mpi @a2a.txt
	one rank exchanges nothing: start with mpirun|--mpi
EOF2
nothing() { [ ! -e "$dir/t.h5" ] && [ ! -e "$dir/t.yaml" ]; }
check "... and leaves nothing behind" nothing
calibrate "$dir/a2a.txt" > /dev/null
check "does not overwrite" refused 2 "exists (--force replaces it)" ./moegps calibrate -o "$dir/t.h5" \
    --profile h100-nvlink "$dir/a2a.txt"

again() { ./moegps calibrate -o "$dir/t.h5" --profile h100-nvlink "$@" > "$dir/out" 2> "$dir/err"; }
check "a second file is added" eval "again --add '$dir/all_reduce.json' &&
    link alltoall,8,1048576 15.240,tabulated && link all_reduce,4,1048576 14.991,tabulated"
check "... which is what was there, too" eval "again --add '$dir/all_reduce.json' &&
    out_has 'not measured, so as they were: moe'"
check "what is replaced is said" eval "again --force '$dir/all_reduce.json' &&
    out_has 'what was calibrated there before is gone (--add keeps it)'"
check "... and is" eval "! link alltoall,8,1048576 15.240,tabulated"
check "nothing is added to nothing" refused 2 "--add: there are no tables $dir/no.h5 yet" \
    ./moegps calibrate --add -o "$dir/no.h5" --profile h100-nvlink "$dir/a2a.txt"
several() {
    ! ranks 3 ./moegps calibrate -o "$dir/three.h5" --profile h100-nvlink "$dir/a2a.txt" > "$dir/out" 2> "$dir/err" &&
        [ "$(grep -c 'files are read by one process' "$dir/err")" = 1 ] && [ ! -e "$dir/three.h5" ]
}
check "several processes do not write one file" several

# this machine
measure() { ranks 2 ./moegps calibrate --mpi -o "$dir/mpi.h5" --profile a100-nvlink > "$dir/out" 2> "$dir/err"; }
check "measures this machine by MPI" measure
check "... as it says" out_has "--mpi: 2 ranks on 1 node, 2 on the first"
check "... naming no GPU as measured" eval 'out_has "the profile'"'"'s GPU: none was measured" &&
    out_has "alltoall by MPI among 2 ranks: each of" && not finds "a100_sxm mpi" < "$dir/out"'
own() { priced alltoall "" gpu,op,nccl,gpus,buffer_bytes a100_sxm,alltoall,mpi,2,1048576 && out_has ,tabulated,; }
check "... and tabulates it" eval 'mv "$dir/mpi.h5" "$dir/t.h5" && own'
finish
