"""Go's templates, as far as people use them with calicoctl: text with actions in it, over objects as JSON.

`render` is all that others need. Not here: user-made functions, methods, complex numbers, channels.
"""

from muslin.cli.template.evaluate import render
from muslin.cli.template.tokens import TemplateFault

__all__ = ["TemplateFault", "render"]
