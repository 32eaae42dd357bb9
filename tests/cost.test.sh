#!/usr/bin/env bash
# moegps cost: rows in, prices out. Speaks TAP.
. "$(dirname "$0")/tap.bash"

cost() { ./moegps cost "$@"; }

# prints LINE ARGUMENTS...: succeeds quietly, with that line on stdout
prints() {
    exits 0 cost "${@:2}" && grep -qxF -- "$1" "$dir/out" && [ ! -s "$dir/err" ]
}

# row OP ROW: a file of one row under OP's usual header.
row() {
    case $1 in
    moe_ffn) echo "gpu,stack,dtype,hidden,inter,top_k,experts,ep,distribution,tokens" ;;
    link) echo "gpu,gpus,buffer_bytes" ;;
    attention) echo "gpu,stack,batch,seq,heads,kv_heads,head_dim" ;;
    gemm) echo "gpu,stack,m,n,k" ;;
    ep_exchange) echo "gpu,stack,nodes,gpus,hidden,top_k,experts,tokens_per_gpu,sms,dispatch_us,combine_us" ;;
    decode_attention) echo "gpu,stack,batch,kv_len,heads,kv_heads,head_dim,window,kv_dtype" ;;
    mla) echo "gpu,stack,phase,batch,seq,kv_len,heads" ;;
    wide_ep_moe) echo "gpu,stack,dtype,hidden,inter,top_k,experts,slots,ep,distribution,eplb,tokens" ;;
    esac > "$dir/in.csv"
    printf '%s\n' "${@:2}" >> "$dir/in.csv"
}
price() { prints "$2,$3" --op "$1" --csv "$dir/in.csv"; }
bad() { refused 2 "$dir/in.csv:$2: $3" cost --op "$1" --csv "$dir/in.csv"; }

# measured rows come back as they are
mixtral=a100_sxm,sglang-0.5.10,bfloat16,4096,14336,2,8,1,balanced
row moe_ffn $mixtral,1
check "a measured FFN is tabulated" price moe_ffn $mixtral,1 463.740,tabulated,0.0145,0.0470
row link a100_sxm,4,536870912
check "a measured all-reduce is tabulated" \
    price allreduce a100_sxm,4,536870912 3716.300,tabulated,0.0230,0.1000
check "a measured all-to-all is tabulated" \
    price alltoall a100_sxm,4,536870912 2065.700,tabulated,0.0230,0.1000
row attention a100_sxm,sglang-0.5.10,4,16384,64,1,128
check "measured attention is tabulated" \
    price attention a100_sxm,sglang-0.5.10,4,16384,64,1,128 85771.547,tabulated,0.0210,0.0460
row gemm a100_sxm,sglang-0.5.10,2049,4096,7168
check "a measured GEMM is tabulated" \
    price gemm a100_sxm,sglang-0.5.10,2049,4096,7168 533.565,tabulated,0.0600,0.1620

normal=h100_sxm,deepep-normal-sglang-0.5.6.post2,8,64,7168,8,256
row ep_exchange $normal,1024,20,1,2
check "a measured exchange is tabulated, both ways" \
    price ep_exchange $normal,1024,20,1,2 1798.930,3328.000,tabulated,0.0200,0.0500
check "columns of an exchange in the way are renamed" prints \
    gpu,stack,nodes,gpus,hidden,top_k,experts,tokens_per_gpu,sms,input_dispatch_us,input_combine_us,dispatch_us,combine_us,source,relative_error,error_p90 \
    --op ep_exchange --csv "$dir/in.csv"
row decode_attention h100_sxm,vllm-0.24.0,32,8192,32,8,128,0,bfloat16
check "measured decode attention is tabulated" price decode_attention \
    h100_sxm,vllm-0.24.0,32,8192,32,8,128,0,bfloat16 354.350,tabulated,0.0200,0.0500
row mla h100_sxm,sglang-0.5.14,decode,128,1,4096,64
check "measured MLA is tabulated" price mla \
    h100_sxm,sglang-0.5.14,decode,128,1,4096,64 223.520,tabulated,0.0200,0.0500
wide=h100_sxm,trtllm-1.3.0rc10-wideep,fp8_block,6144,2048,8,256,256,2,power_law_1.01,1
row wide_ep_moe $wide,2
check "a measured wide EP kernel is tabulated" \
    price wide_ep_moe $wide,2 166.890,tabulated,0.0200,0.0500

# between and beyond
source_is() { row moe_ffn "$1"; cost --op moe_ffn --csv "$dir/in.csv" | tail -n 1 | finds ",$2,0\.[0-9]*,0\.[0-9]*$"; }
check "between token counts it is interpolated" source_is $mixtral,48 interpolated
check "beyond them it is extrapolated" source_is $mixtral,100000 extrapolated
check "another shape is extrapolated" \
    source_is l40s,vllm-0.24.0,fp8,2880,2880,4,32,4,balanced,48 extrapolated
check "a row that was left out is extrapolated" \
    source_is a100_sxm,sglang-0.5.10,bfloat16,4096,14336,2,8,2,balanced,64 extrapolated

check "a row of a slow kernel says so" source_is \
    h100_sxm,trtllm-1.3.0rc20,fp8,5120,8192,1,16,1,balanced,48 slow-kernel

# a GPU that was not measured, by the profile that names tables for it: the
# formula of jobs/README.md on the row of the H100, here 969.189 us
h200=h200_sxm,vllm-0.24.0,bfloat16,4096,14336,2,8,1,balanced
check "a profile's GPU is scaled" source_is $h200,64 scaled
scales() { # price of the row above = f of the H100's
    row moe_ffn $h200,64
    cost --op moe_ffn --csv "$dir/in.csv" | tail -n 1 | awk -F, '{
        bytes = 2 * 8 * 3 * 4096 * 14336 + 2 * 128 * (2 * 4096 + 3 * 14336)
        f = 1e6 * bytes / (0.9 * 3.35e12) / 969.189
        want = 969.189 * (1 - f + f * 3.35 / 4.8)
        exit !($11 > 0.999 * want && $11 < 1.001 * want) }'
}
check "... by the part of its time that is traffic" scales
row link h200_sxm,8,1048576
check "... and its links" price alltoall h200_sxm,8,1048576 15.610,scaled,0.0380,0.0920
row gemm h200_sxm,vllm-0.24.0,16,4096,4096
check "... and its GEMM" eval 'cost --op gemm --csv "$dir/in.csv" | finds ",scaled,"'

# columns
printf 'note,tokens,distribution,ep,experts,top_k,inter,hidden,dtype,stack,gpu,latency_us\n"a, b",2,balanced,1,8,2,14336,4096,bf16,sglang-0.5.10,a100_sxm,843.716\n' > "$dir/in.csv"
check "columns may come in any order, others are kept" \
    prints '"a, b",2,balanced,1,8,2,14336,4096,bf16,sglang-0.5.10,a100_sxm,843.716,843.716,tabulated,0.0145,0.0470' \
    --op moe_ffn --csv "$dir/in.csv"
check "a column in the way is renamed" \
    prints note,tokens,distribution,ep,experts,top_k,inter,hidden,dtype,stack,gpu,input_latency_us,latency_us,source,relative_error,error_p90 \
    --op moe_ffn --csv "$dir/in.csv"
printf 'gpu,op,gpus,buffer_bytes,nccl\r\nh100_sxm,all_gather,8,1048576,2.29.2\r\n\r\n' > "$dir/in.csv"
gather() { cost --op alltoall --csv "$dir/in.csv" | finds "^h100_sxm,all_gather,8,1048576,2.29.2,[0-9.]*,tabulated,"; }
check "a column op is obeyed, line ends of DOS are fine" gather
printf '\xef\xbb\xbf# measured\rGPU;Stack;M;N;K;note\ra100_sxm;sglang-0.5.10;2049;4096;7168;a, b\r' > "$dir/in.csv"
check "a mark, comments, semicolons, capitals and line ends of old Macs are fine" \
    prints 'a100_sxm,sglang-0.5.10,2049,4096,7168,"a, b",533.565,tabulated,0.0600,0.1620' --op gemm --csv "$dir/in.csv"
row moe_ffn
check "no rows give a header" prints \
    gpu,stack,dtype,hidden,inter,top_k,experts,ep,distribution,tokens,latency_us,source,relative_error,error_p90 \
    --op moe_ffn --csv "$dir/in.csv"

# output
row moe_ffn $mixtral,1
into() { cost --op moe_ffn --csv "$dir/in.csv" -o "$dir/o.csv" "$@" && [ "$(wc -l < "$dir/o.csv")" -eq 2 ]; }
check "-o writes a file" into
check "-o does not overwrite" refused 2 "exists (--force replaces it)" cost \
    --op moe_ffn --csv "$dir/in.csv" -o "$dir/o.csv"
check "--force does" into --force
check "a missing folder is made" exits 0 cost --op moe_ffn --csv "$dir/in.csv" -o "$dir/none/o.csv"

# bad rows: file, line, and what there is
row moe_ffn $mixtral,1 h300,sglang-0.5.10,bfloat16,4096,14336,2,8,1,balanced,1
check "an unknown gpu names the known" \
    bad moe_ffn 3 "gpu: no measured 'h300' (there are: a100_sxm, h100_sxm, b200_sxm, l40s)"
row moe_ffn a100_sxm,vllm-0.24.0,bfloat16,4096,14336,2,8,1,balanced,1
check "an unknown stack names those of the gpu" \
    bad moe_ffn 2 "stack: no measured 'vllm-0.24.0' (there are: sglang-0.5.10, trtllm-1.0.0)"
row moe_ffn a100_sxm,sglang-0.5.10,int4,4096,14336,2,8,1,balanced,1
check "an unknown dtype names those of the stack" \
    bad moe_ffn 2 "dtype: no measured 'int4' (there are: bfloat16)"
row moe_ffn $mixtral,-4
check "a negative number is refused" bad moe_ffn 2 "tokens: '-4' is not a number in 1.."
row moe_ffn $mixtral,many
check "a text for a number is refused" bad moe_ffn 2 "tokens: 'many' is not a number"
row moe_ffn a100_sxm,sglang-0.5.10,bfloat16,4096.5,14336,2,8,1,balanced,1
check "a broken size is refused" bad moe_ffn 2 "hidden: '4096.5' is not whole"
row moe_ffn a100_sxm,sglang-0.5.10,bfloat16,4096,14336,9,8,1,balanced,1
check "more experts chosen than there are is refused" bad moe_ffn 2 "no kernel has hidden 4096"
row moe_ffn $mixtral,1 a100_sxm,sglang-0.5.10
check "a short row is refused" bad moe_ffn 3 "2 fields where the header has 10"
row gemm
check "a missing column is named" bad moe_ffn 1 "no column 'dtype'"
row attention a100_sxm,sglang-0.5.10,4,512,8,32,128
check "more heads of keys than of queries are refused" \
    bad attention 2 "kv_heads: 32 is more than heads, 8"
row ep_exchange h100_sxm,deepep-ll-sglang-0.5.6.post2,2,16,7168,8,256,512,0,1,1
check "more tokens than a kernel's buffer takes are refused" \
    bad ep_exchange 2 "tokens_per_gpu: 512, but low-latency kernels take at most 256 across nodes"
row ep_exchange h100_sxm,deepep-2,2,16,7168,8,256,512,0,1,1
check "an unknown exchange kernel names those of the gpu" \
    bad ep_exchange 2 "stack: no measured 'deepep-2' (there are: deepep-normal-sglang-0.5.6.post2, "
row mla h100_sxm,sglang-0.5.14,prefill,1,512,4096,64
check "prefill on a cache is refused" \
    bad mla 2 "seq: 512 with kv_len 4096 (measured: seq = kv_len in prefill)"
row link a100_sxm,4,0
check "an empty buffer is refused" bad alltoall 2 "buffer_bytes: '0' is not a number"
printf 'gpu,gpu\n' > "$dir/in.csv"
check "a column twice is refused" bad gemm 1 "column 'gpu' twice"
: > "$dir/in.csv"
check "an empty file is refused" refused 2 "$dir/in.csv: is empty" cost --op gemm --csv "$dir/in.csv"

# wrong use
check "--help prints usage" prints "Usage: moegps cost [OPTION...] --op=OP --csv=FILE" --help
check "no operation is refused" refused 2 "--op is needed" cost --csv x
check "an unknown operation names the known" refused 2 "'moe' is not one of moe_ffn, alltoall" cost --op moe
check "a file that is not there is named" refused 2 "$dir/none.csv" cost --op gemm --csv "$dir/none.csv"
row moe_ffn $mixtral,1
check "tables that are none are refused" refused 2 "$dir/in.csv" cost \
    --op moe_ffn --csv "$dir/in.csv" --tables "$dir/in.csv"

# the converter's own checks
mkdir "$dir/csv"
converts() { # converts TEXT: refuses moe_ffn.csv with TEXT
    exits 2 "$PYTHON" tools/convert_silicon.py "$dir/csv" "$dir/t.h5" &&
        err_has "moe_ffn.csv:$1" && [ ! -e "$dir/t.h5" ]
}
header=gpu,stack,kernel,dtype,hidden,inter,top_k,experts,ep,distribution,tokens,latency_us
refuse() { # refuse NAME ROW TEXT
    printf '%s\n%s\n' "$header" "$2" > "$dir/csv/moe_ffn.csv"
    check_if "numpy h5py" "$1" converts "$3"
}
refuse "a negative latency is not converted" g,s,k,fp8,1,1,1,1,1,balanced,1,-5 "2: latency_us: -5"
refuse "seconds are not converted" g,s,k,fp8,1,1,1,1,1,balanced,1,1e-5 "2: latency_us: 1e-05 cannot be in microseconds"
refuse "a text is not converted" g,s,k,fp8,1,1,1,1,1,balanced,x,5 "2: tokens: 'x' is not a number"
header=gpu,stack,latency_us refuse "missing columns are named" g,s,1 "1: no column 'kernel'"

finish
