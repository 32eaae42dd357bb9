
# ---- stragglers.gp: time of every rank in every iteration ----
# Grey is less than the mean of all ranks, violet is more, as far either way.

set xlabel 'iteration' offset 0,1.2
set ylabel 'rank' offset 1,0
set palette defined (0 '#4d4d4d', 1 '#b5b5b5', 2 '#f2f2f2', 3 '#b39bd0', \
  4 '#5b2a86')
plot @cells:3 with boxxyerror fillcolor palette title 'time over the mean' @tips
