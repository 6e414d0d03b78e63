"""
The doors floor: how programs come in. Thin; every decision is made a floor below.
"""
