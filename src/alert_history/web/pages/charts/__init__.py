"""Charts as SVG: geometry here, drawing in `templates/charts/`, colours in `static/charts.css`. Must not know of HTML.

Each chart has a title, a description and a table behind it; it prints, needs no script, and fits 360 px: what lies
along time is in percent of the width, what lies across in pixels, so that words keep their size.
"""
