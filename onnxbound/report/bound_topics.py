"""What `onnxbound explain` says of each bound."""

from onnxbound.documents.topic import ARORA, Topic

_PLOTTED = "None: constants, logarithms and depth are dropped. It compares nets; it says nothing about new rows."

BOUNDS = (
    Topic("parameters", "bound", "The number of trained numbers.", "sum_i |A^i|_0", "-", "parameters", _PLOTTED),
    Topic(
        "l1-inf",
        "bound",
        "The oldest norm-based capacity, by the largest incoming l1 norm of each layer.",
        "gamma^-2 prod_i |A^i|_{1,inf}^2",
        "Bartlett & Mendelson 2002",
        "rows",
        _PLOTTED,
    ),
    Topic(
        "frobenius",
        "bound",
        "The product of the Frobenius norms of all layers.",
        "gamma^-2 prod_i |A^i|_F^2",
        "Neyshabur, Tomioka, Srebro 2015",
        "rows",
        _PLOTTED,
    ),
    Topic(
        "spec-l12",
        "bound",
        "The product of spectral norms, times how far each layer is from low rank in the (1,2) norm.",
        "gamma^-2 prod_i |A^i|_2^2 sum_i |A^i|_{1,2}^2 / |A^i|_2^2",
        "Bartlett, Foster, Telgarsky 2017",
        "rows",
        f"{_PLOTTED} |x| is left out: scaling the data changes it.",
    ),
    Topic(
        "spec-fro",
        "bound",
        "The product of spectral norms, times the stable ranks.",
        "gamma^-2 prod_i |A^i|_2^2 sum_i h_i |A^i|_F^2 / |A^i|_2^2",
        "Neyshabur, Bhojanapalli, Srebro 2017",
        "rows",
        f"{_PLOTTED} |x| is left out: scaling the data changes it.",
    ),
    Topic(
        "arora",
        "bound",
        "The capacity by noise stability: how many parameters the net needs once noise that it does not feel is allowed.",
        "gamma^-2 max|f(x)|^2 sum_i q_i",
        f"{ARORA} Theorem 5.1, and 4.1 for dense nets",
        "rows",
        _PLOTTED,
    ),
    Topic(
        "theorem-2.2",
        "bound",
        "An upper bound on the error of new rows for a net that is this one with its layers truncated and rounded. Every"
        " constant and every bit is counted. For most trained nets it is vacuous, since norms multiply over the layers.",
        "Lhat_gamma(f) + sqrt((ln2 bits + ln(1/delta)) / 2m), if sum_i w_i |a^i(x)| <= gamma / sqrt 2 on all of S",
        f"{ARORA} Theorem 2.2, with its slips mended",
        "probability of error",
        "the rows were drawn independently; the architecture was chosen without them",
    ),
    Topic(
        "theorem-4.1",
        "bound",
        "The bound by noise stability with every constant, for chains of dense layers and convolutions: matrices, and"
        " kernels that all positions share, are projected on random signs, and the bits of the projections are counted.",
        "Lhat_gamma(f) + zeta + sqrt((ln2 sum_i bits_i + ln(3/delta)) / 2m)",
        f"{ARORA} Theorem 4.1, counting bits in place of a covering",
        "probability of error",
        "smoothness of at least 3d under the noise of compression, which --noise compression measures; open while only"
        " gaussian noise was measured",
    ),
)
"""In the order of a report."""
