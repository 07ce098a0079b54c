"""The policy scan: checkov over synthesized stacks, held against the exceptions that constructs declared.

`scan` is the whole road. `declared` writes the exceptions at synth (and imports nothing heavy); `checkov`
runs the program on copies of the stacks; `layout` finds out which resource a line is of; `report` judges;
`text`, `document` and `sarif` print.
"""
