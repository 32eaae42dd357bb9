
# ---- ecdf.gp: cumulative distribution of samples, and a bar at the median ----
# median[n_rows]: s; unit: of the x axis over s

do for [i = 1:n_rows] {
  if (median[i] == median[i]) {
    set arrow from median[i] * unit, first from_y(i - 1) \
      to median[i] * unit, first to_y(i - 1) nohead \
      linecolor rgb 'black'
  }
}
# A curve rises at every sample from the foot of its row to its top; to the first
# from nothing.
level(s, share) = to_y(s) - (to_y(s) - from_y(s)) * share
begins(s) = (first = s != last, last = s, first)
last = -1
plot data every ::1 using (begins($1) ? $3 * unit : NaN):(to_y(int($1))): \
    (0):(level(int($1), $4) - to_y(int($1))):(hue(int($1))) \
    with vectors nohead linewidth 2 linecolor rgb variable title 'first', \
  for [i = 1:n_rows] data every ::1 \
    using ($1 == i - 1 ? $3 * unit : NaN):(level(i - 1, $4)) \
    with steps linewidth 2 linecolor rgb hue(i - 1) title row[i]
