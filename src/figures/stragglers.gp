
# ---- stragglers.gp: time of every rank in every iteration ----
# Blue is less than the mean of all ranks, red is more, as far either way.

set xlabel 'iteration'
set ylabel 'rank'
set cblabel 'time over the mean of all ranks'
set palette defined (0 '#2166ac', 1 '#92c5de', 2 '#f7f7f7', 3 '#f4a582', \
  4 '#b2182b')
plot @cells:3 with boxxyerror fillcolor palette title 'time over the mean'
