
# ---- uneven.gp: how uneven loads are, of every layer in every step ----
# White is even; the darker, the more the busiest has over the mean.

set xlabel 'step' offset 0,1.2
set ylabel 'layer' offset 1,0
set palette defined (0 '#f2f2f2', 1 '#b39bd0', 2 '#5b2a86', 3 '#2d0b4e')
plot @cells:3 with boxxyerror fillcolor palette title 'largest over mean' @tips
