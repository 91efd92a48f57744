"""The configuration: YAML in, frozen values out, or every problem at once.

`document` reads YAML into plain values and remembers the line of each; `schema` lists the keys and what each
may hold; `checks` has the validators; `secret` finds the client secret; `paths` knows where things lie;
`assembly` runs all of it on a file, and `glance` reads only what leads to a running service.
"""
