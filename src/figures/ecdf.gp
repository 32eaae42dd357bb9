
# ---- ecdf.gp: cumulative distribution of samples ----
# The legend has the curves, in the order of column 1 of the data.
# unit: of the x axis over s

set xrange [x_low:x_high]
set xtics x_step
set xlabel x_title offset 0,1.2
set bmargin at screen down(height - 46)
set yrange [0:1]
set ytics 0.25

# A curve rises at every sample, from 0 at the least, which is the first row of
# its series: there the row before is of another one, or there is none.
begins(s) = (first = s != last, last = s, first)
last = -1
a = "data every ::1 using (begins($1) && $1 == i - 1 ? $3 * unit : NaN):4 \
  with impulses @style"
b = "data every ::1 using (last = -1, $1 == i - 1 ? $3 * unit : NaN):4 \
  with steps @style"
style = "linewidth 2 dashtype legend_kind[i] linecolor rgb paint(i) \
  title legend_name[i]"
curves = each(n_legend)
plot @curves
