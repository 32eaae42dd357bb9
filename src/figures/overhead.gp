
# ---- overhead.gp: accuracy of predictors against the time they take ----
# The legend has the predictors, in the order of the data.
# x_tick[n_x_ticks]: of the logarithmic x axis

set logscale x
set xrange [x_low:x_high]
set xtics ()
do for [i = 1:n_x_ticks] {
  set xtics add (x_tick[i])
}
set yrange [y_low:y_high]
set ytics y_step
set xlabel x_title offset 0,1.2
set bmargin at screen down(height - 46)
plot for [i = 1:n_legend] data every ::i::i \
  using ($4 > 0 ? $4 * 1e6 : NaN):($3 * 100) \
  with points pointsize 1.1 linewidth 2 pointtype legend_kind[i] \
  linecolor rgb paint(i) title legend_name[i]
