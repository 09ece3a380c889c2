"""Mixtures of softmaxes on the small, medium and large LSTM: tables 6.1 and 7.2 of Zhang (2018).

They are trained like the LSTMs of :mod:`zaremba <lm_plugins.architectures.zaremba>`. The models of table 6.1
have 15 softmaxes. Table 7.2 does not say how many its models have, but only with 10 do the tied and the
factorised model have the published 17.503 and 20.240 million parameters.

Departures: torch's LSTM has two biases where TensorFlow's has one, and the tied model of the thesis has no
bias in the output layer. The published numbers of parameters do not count these biases.
"""

from lm_plugins.architectures import zaremba
from lm_plugins.architectures.architecture import ARCHITECTURES, Architecture, Published, Recipe
from lm_plugins.architectures.shared import TIED

SOURCE = "Zhang 2018, MSc thesis, Edinburgh"
TEN = (
    "the thesis does not say how many softmaxes this model has; with 10, it has the number of parameters "
    "given in table 7.2"
)


def mixture(
    size: str, suffix: str, title: str, published: Published, parameters: str, **options: object
) -> None:
    """Declare ``lstm_<size>_<suffix>``, the LSTM of that size with a mixture of softmaxes."""
    lstm, name = ARCHITECTURES[f"lstm_{size}"], f"lstm_{size}_{suffix}"
    Architecture(
        name,
        lstm.model,
        options={**lstm.options, "output_layer": "mos", **options},
        training={"--criterion": "mos", **lstm.training},
        recipes=(Recipe(f"ptb/{name}", f"{title} on Penn Treebank", published=published),),
        parameters=parameters,
        source=SOURCE,
        departures=(zaremba.REMAINDER,),
    )


def table_6_1(size: str, valid: str, test: str, parameters: str, note: str = "") -> None:
    """Declare a model of table 6.1."""
    title = f"{size} LSTM with a mixture of 15 softmaxes"
    mixture(size, "mos", title, Published(trained=(valid, test), note=note), parameters, n_experts=15)


table_6_1("small", "127.718", "121.748", "5.258 M")
table_6_1(
    "medium",
    "84.047",
    "80.441",
    "26.132 M",
    note="81.932 / 77.264 after 78 epochs with a different schedule, whose first stage was not published",
)
table_6_1("large", "94.249", "90.138", "99.817 M")

mixture(
    "medium",
    "mos_tied",
    "medium LSTM with a mixture of 10 softmaxes and tied embeddings",
    Published(trained=("80.336", "77.072"), note=TEN),
    "17.503 M",
    n_experts=10,
    **TIED,
)
mixture(
    "medium",
    "mos_factorised",
    "medium LSTM with a mixture of 10 softmaxes and an output matrix of rank 256",
    Published(trained=("89.882", "86.005"), note=TEN),
    "20.240 M",
    n_experts=10,
    output_rank=256,
)
