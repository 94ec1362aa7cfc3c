"""Where the right answer is known: synthetic worlds, labels made from text.

Nested sparse coding is here as well, since it is made for such worlds and measured in
nothing else.
"""
