# ---- frame.gp: what all figures share: terminal, colours, legend ----
# figure: name of the files; width, height, top (room above the axes): pixels
# colour[10]: of strategies; grey, faint
# legend_*[n_legend]: what is drawn, as a look (box, line, point), its colour,
#   its kind (a line's dashtype, a point's pointtype, a box's number in the
#   data), its place above the axes (pixels, line of text) and its name
# y_title: what the y axis shows, written below the legend; '': nothing

data = figure.'.csv'
set encoding utf8
set datafile separator comma
set terminal svg size width, height dynamic noenhanced \
  font 'sans-serif,13' name figure
set output figure.'.svg'
set border 3 linecolor rgb 'black'
set tics nomirror out scale 0.6
set xtics offset 0,0.5
set grid linecolor rgb '#888888' linetype 1 linewidth 0.3
set style fill solid 1 noborder
unset key

# A point that a page tells something at.
invisible = '#ff000000'
paint(i) = legend_colour[i] > 0 ? colour[legend_colour[i]] : grey

# Pixels from the left and from the top as parts of the figure.
across(x) = real(sprintf('%.4f', 1. * x / width))
down(y) = real(sprintf('%.4f', 1 - 1. * y / height))

# Where a line of text above the axes is.
line_y(line) = 10 + 19 * (line + 0.5)

set tmargin at screen down(top)
do for [i = 1:n_legend] {
  x = legend_x[i]
  y = line_y(legend_line[i])
  if (legend_look[i] eq 'box') {
    set object rectangle from screen across(x), down(y + 5) \
      to screen across(x + 18), down(y - 5) \
      fillstyle solid noborder fillcolor rgb paint(i)
  }
  if (legend_look[i] eq 'line') {
    set arrow from screen across(x), down(y) to screen across(x + 18), down(y) \
      nohead linewidth 2 dashtype legend_kind[i] linecolor rgb paint(i)
  }
  if (legend_look[i] eq 'point') {
    set label '' at screen across(x + 9), down(y) \
      point pointtype legend_kind[i] pointsize 1 linewidth 2 \
      linecolor rgb paint(i)
  }
  if (legend_name[i] ne '') {
    set label legend_name[i] at screen across(x + 24), down(y) left noenhanced
  }
}
if (y_title ne '') {
  set label y_title at screen across(10), down(line_y(legend_lines)) left \
    noenhanced
}

# gnuplot repeats one element of a plot, not two in turn: each(n) is the text of
# elements @a and @b for i from 1 to n.
turn(i) = sprintf('for [i = %d:%d] @a, for [i = %d:%d] @b', i, i, i, i)
each(n) = n == 1 ? turn(1) : each(n - 1).', '.turn(n)
