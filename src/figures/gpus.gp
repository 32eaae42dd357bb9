
# ---- gpus.gp: load of GPUs before and after duplication ----
# The legend has the curves, in the order of the columns from 2 on; that of
# before, the first one, is broad.
# marked: there is a point per GPU

set xlabel x_title offset 0,1.2
set bmargin at screen down(height - 46)
set xrange [x_low:x_high]
set xtics x_step
set yrange [y_low:y_high]
set ytics y_step

style = marked ? 'linespoints pointtype 7 pointsize 0.5' : 'lines'
plot 1 with lines dashtype 2 linecolor rgb faint title 'balanced', \
  for [i = 1:n_legend] data every ::1 using 1:i + 1 with @style \
    linewidth (i == 1 ? 5 : 2) dashtype legend_kind[i] linecolor rgb paint(i) \
    title legend_name[i]
