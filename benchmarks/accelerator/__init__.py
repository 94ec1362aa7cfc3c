"""What the library does on an accelerator, measured by one script in a few minutes.

Whatever imports a part of it gets the stand-ins of `bare` first.
"""

from benchmarks.accelerator import bare

bare.prepare()
