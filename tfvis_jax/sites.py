"""Where in a layer the rows that a dictionary describes are taken.

hidden         the residual sum that leaves the layer, and the embedding output
attention_out  what attention adds to that sum, after its output projection
mlp_out        what the feed-forward part (MLP) adds, after its second product

Both outputs are taken before they are added, and so before a layer norm of the sum.
`models.blocks.Block` has the equations.
"""

HIDDEN = "hidden"
ATTENTION_OUT = "attention_out"
MLP_OUT = "mlp_out"
SITES = (HIDDEN, ATTENTION_OUT, MLP_OUT)
# What rows of a site are called.
WORDS = {
    HIDDEN: "hidden states",
    ATTENTION_OUT: "attention outputs",
    MLP_OUT: "MLP outputs",
}


def first_layer(site: str) -> int:
    """Returns the first layer at a site: layer 0, the embeddings, has hidden states."""
    return 0 if site == HIDDEN else 1


def every_layer(site: str, *, n_layers: int) -> tuple[int, ...]:
    """Returns the layers that a model of `n_layers` has at a site."""
    return tuple(range(first_layer(site), n_layers + 1))


def named(layers: str, site: str) -> str:
    """Returns text about layers with the site, unless that is the hidden states."""
    return layers if site == HIDDEN else f"{layers} ({WORDS[site]})"
