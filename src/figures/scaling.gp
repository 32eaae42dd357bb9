
# ---- scaling.gp: a number with its interval against the GPUs ----
# The legend has the curves, in the order of column 1 of the data.
# number: its column of the data, with its interval in the next two
# unit: of the y axis over the data's; y_format: of its labels
# gpus[n_runs], nodes: of each run; on_nodes: some have several nodes

set xlabel x_title offset 0,1.2
set bmargin at screen down(height - (on_nodes ? 62 : 46))
set logscale x 2
set xtics ()
do for [i = 1:n_runs] {
  label = sprintf('%d', gpus[i])
  if (on_nodes) {
    label = label.sprintf("\n%d node%s", nodes[i], nodes[i] == 1 ? '' : 's')
  }
  set xtics add (label gpus[i])
}
set xrange [x_low:x_high]
set yrange [y_low:y_high]
set ytics y_step
set format y y_format

a = "data every ::1 using ($1 == i - 1 ? $3 : NaN):(column(number) * unit) \
  with linespoints pointtype 7 pointsize 0.6 linewidth 2 \
  dashtype legend_kind[i] linecolor rgb paint(i) title legend_name[i]"
b = "data every ::1 using ($1 == i - 1 ? $3 : NaN): \
  (column(number + 1) * unit):(0): \
  ((column(number + 2) - column(number + 1)) * unit) \
  with vectors heads size screen 0.008,90 linewidth 2 linecolor rgb paint(i) \
  title legend_name[i]"
curves = each(n_legend)
plot @curves, data every ::1 using 3:(column(number) * unit) \
  with points pointtype 7 pointsize 1.2 linecolor rgb invisible title 'tips'
