"""
The commands that speak to Daxko, one room each. `command_line` gathers them.
"""
