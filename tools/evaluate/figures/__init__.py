"""The figures, one module each. ALL has them in order.

A module has NUMBER; TITLE; KIND, "simulated" or "measured" or both; SHOWS, what can be seen, for
people; jobs(setup), what has to be run; draw(setup, results), a matplotlib figure; and
tables(setup, results), which stand under it. Its data have the columns of job.COLUMNS and, if it
has them, its own COLUMNS.
"""

from evaluate.figures import (figure_02, figure_05, figure_06, figure_11, figure_12, figure_13,
                              figure_14, figure_15, figure_16, figure_17, figure_18, figure_19,
                              figure_20, figure_21, figure_22)

ALL = (figure_02, figure_05, figure_06, figure_11, figure_12, figure_13, figure_14, figure_15,
       figure_16, figure_17, figure_18, figure_19, figure_20, figure_21, figure_22)
