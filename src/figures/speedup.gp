
# ---- speedup.gp: how much faster each row is, with its interval ----
# x_tick[n_x_ticks]: of the logarithmic x axis

set logscale x
set xtics ()
do for [i = 1:n_x_ticks] {
  set xtics add (sprintf('%g', x_tick[i]) x_tick[i])
}
plot data every ::1 using 4:(mid_y(int($1))):(hue(int($1))) \
    with points pointtype 7 pointsize 1 linecolor rgb variable \
    title 'speed-up', \
  data every ::1 using 4:(mid_y(int($1))):5:6:(hue(int($1))) \
    with xerrorbars pointtype 7 pointsize 1 linewidth 2 \
    linecolor rgb variable title '95 % interval', \
  data every ::1 using 4:(mid_y(int($1))) \
    with points pointtype 7 pointsize 1.5 linecolor rgb invisible title 'tips'
