#!/usr/bin/env bash
# Files as users' programs write them, through the commands: what is understood
# of each, what is left out, what is refused. TAP.
. "$(dirname "$0")/tap.bash"

cases=tests/data/recordings
plan() { ./moegps plan --gpus 2 --repeats 1 "$@"; }

# file and options | what is said of it
while IFS='|' read -r words text; do
    # shellcheck disable=SC2086 # words
    check "plan reads $words" says "$text" plan --loads $cases/$words
done <<- 'EOF'
	sglang-rank0.csv|2 layers (3..4), 4 experts, 1 step
	sglang-rank0.csv tests/data/recordings/sglang-rank0.csv|2 layers (3..4), 4 experts, 1 step; 2 files added up
	sglang-rank0.csv --layers 4|1 layer (4), 4 experts, 1 step
	sglang-rank0.csv --layers 4|left out: 1 of 2 layers by --layers
	sglang-rank0.csv --experts 8|8 experts, of which 4 .. 7 were never seen
	pandas-index.csv|2 layers (0..1), 4 experts, 1 step
	pandas-index.csv|left out: column '' numbers the rows
	pandas-index.csv --layers 8,12|2 layers (8, 12), 4 experts, 1 step; its 2 layers are 8, 12 by --layers
	harmoeny.csv --ignore router_skew|2 layers (0..1), 4 experts, 1 step
	layer-wide.csv|2 layers (0..1), 4 experts, 1 step
	caps.csv|1 layer (0), 4 experts, 1 step
	quoted-long.csv|1 layer (0), 4 experts, 1 step
	bom-long.csv|1 layer (0), 4 experts, 1 step
	bom-wide.csv|1 layer (0), 4 experts, 1 step
	cr-only.csv|2 layers (0..1), 4 experts, 1 step
	blank-space.csv|2 layers (0..1), 4 experts, 1 step
	comment-first.csv|1 layer (0), 4 experts, 1 step
	comment-header.csv|2 layers (3..4), 256 experts, 1 step
	comment-header.csv --experts 256|1 row of a step, layer and expert that was there before: added up
	total.csv|left out: column 'total' is the sum of its row
	frac.csv|left out: column 'frac_of_layer' is not needed
	headless.csv|2 layers (0..1), 4 experts, 1 step; no names: rows are layers, columns experts
	mindie.csv|2 layers (0..1), 4 experts, 1 step
	iteration.csv|1 layer (0), 2 experts, 2 steps
	dataset.csv --sum-over dataset|1 layer (0), 2 experts, 1 step
	step500.csv|1 layer (0), 2 experts, 2 steps
	layer3.csv|1 layer (3), 4 experts, 1 step
	zero3.npy|1 layer (1), 4 experts, 4 steps
	zero3.npy|left out: layer 0 has no load: a dense layer
	seen.csv --experts 6|1 layer (0), 6 experts, 1 step
	llamacpp-trace.csv --experts 8|a row is an activation
	dummy-tokens.csv|20 tokens of 2 choices each; its tokens are one step
	f16.npy|2 layers (0..1), 4 experts, 1 step
	fortran.npy|2 layers (0..1), 4 experts, 1 step
	logical_count.json|2 layers (0..1), 4 experts, 1 step
	load_history.json|2 layers (0..1), 4 experts, 2 steps
	bylayer.json|2 layers (0..1), 4 experts, 1 step
	steps-sum.json|1 layer (0), 4 experts, 2 steps
EOF

# what is not understood is refused, in one line that says what would do
while IFS='|' read -r words text; do
    # shellcheck disable=SC2086 # words
    check "plan refuses $words" refused 2 "$text" plan --loads $cases/$words
done <<- 'EOF'
	harmoeny.csv|column 'router_skew' is neither an expert nor a step or layer (--ignore 'router_skew' drops it)
	duphead.csv|duphead.csv:1: column 'e0' twice
	decimalcomma.csv|fields are separated by ';', decimals need a point
	dataset.csv|column 'dataset' is not understood (--sum-over 'dataset' adds its rows up)
	tok_pad.npy|-1 is not a finite load >= 0
	routed_experts.npy --model mixtral-8x7b|tokens, not loads (--axes layers,tokens,k or tokens,layers,k)
	seen.csv --experts 3|expert 3 was chosen, but there are 3
	headless.csv --experts 6|has 4 experts, not 6
	layer3.csv --layers 0,1|--layers: tests/data/recordings/layer3.csv has layers 3, not 0
	layer3.csv --layers 3-|--layers: '3-' is not a list as in 0,3,8-11
	prev-sglang.json|is a placement, not a recording
	logical_count.json tests/data/recordings/no-such.json|cannot open
EOF

layer_of_table() { plan --loads $cases/sglang-rank0.csv | grep -Eq '^ +4 +5 '; }
check "a plan's table has the file's layers" layer_of_table
layer_of_file() {
    plan --loads $cases/sglang-rank0.csv --json - | grep -q '"layer_number":\[3,4\]'
}
check "a plan's file has the file's layers" layer_of_file
finish
