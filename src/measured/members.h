/* Every format, in the order in which they are tried: one line here and one
 * file beside it. */
X(nccl)
X(nccl_json)
X(osu)
X(deepep)
X(fused_moe)
X(fused_moe_json)
X(columns)
