
# ---- speedup.gp: how much faster each row is, with its interval ----
# A full point is one that noise does not explain: its interval is without 1.
# Numbers stand beside the rows.

sure(low, high) = low > 1 || high < 1
set rmargin at screen 0.89
set arrow from 1, graph 0 to 1, graph 1 nohead dashtype 2 linecolor rgb faint
plot data every ::1 using 4:1 \
    with points pointtype 6 pointsize 0.8 linewidth 2 linecolor rgb colour[1] \
    title 'speed-up', \
  data every ::1 using (sure($5, $6) ? NaN : $4):1:5:6 \
    with xerrorbars pointtype 6 pointsize 0.8 linewidth 2 \
    linecolor rgb colour[1] title 'interval with 1', \
  data every ::1 using (sure($5, $6) ? $4 : NaN):1:5:6 \
    with xerrorbars pointtype 7 pointsize 0.8 linewidth 2 \
    linecolor rgb colour[1] title 'interval without 1', \
  data every ::1 using (x_high):1:(sprintf('%.2f', $4)) \
    with labels left offset 0.5,0 noenhanced font ',12' title 'numbers'
