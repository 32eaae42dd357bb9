
# ---- samples.gp: a dot per sample, and a bar at the median ----
# median[n_rows]: s; unit: of the x axis over s

dim = 100 << 24
do for [i = 1:n_rows] {
  if (median[i] == median[i]) {
    set arrow from median[i] * unit, first from_y(i - 1) \
      to median[i] * unit, first to_y(i - 1) nohead linewidth 2 \
      linecolor rgb 'black'
  }
}
plot data every ::1 using ($3 * unit):(mid_y(int($1))):(dim | hue(int($1))) \
    with points pointtype 7 pointsize 1 linecolor rgb variable title 'samples', \
  data every ::1 using ($3 * unit):(mid_y(int($1))) \
    with points pointtype 7 pointsize 1 linecolor rgb invisible title 'tips'
