"""Control characters that stand for what was found while a wiki page is cleaned."""

# A heading line, its level and its title; an item of a list, or what breaks the text
# as a list does; a formula or template that was dropped, whose sentence is incomplete.
HEADING = "\x01"
LIST_ITEM = "\x02"
GAP = "\x03"
# "<" that begins no tag.
LESS_THAN = "\x04"
# A pronunciation. A sentence reads on without it, but a bracket that introduces it
# ("pronounced ...") does not.
ASIDE = "\x05"
