
# ---- uneven.gp: how uneven loads are, of every layer in every step ----
# White is even; the darker, the more the busiest has over the mean.

set xlabel 'step'
set ylabel 'layer'
set cblabel 'largest load over the mean'
set palette defined (0 '#f7f7f7', 1 '#fdae61', 2 '#d7191c', 3 '#67001f')
plot @cells:3 with boxxyerror fillcolor palette title 'largest over mean'
