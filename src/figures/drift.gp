
# ---- drift.gp: what is left of what was known some steps ago ----
# The legend has the curves, in the order of the columns from 2 on.

set xlabel 'steps later'
set xrange [x_low:x_high]
set xtics x_step
set yrange [0:1]
set ytics 0.25
plot for [i = 1:n_legend] data every ::1 using 1:(column(i + 1)) \
  with linespoints pointtype 7 pointsize 0.5 linewidth 2 \
  dashtype legend_kind[i] linecolor rgb paint(i) title legend_name[i]
