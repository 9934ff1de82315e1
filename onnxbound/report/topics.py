"""What `onnxbound explain` says of each metric, bound and error code."""

from dataclasses import dataclass

from onnxbound.errors import CODES


@dataclass(frozen=True, slots=True)
class Topic:
    """One explanation.

    Attributes:
        name: As in the report.
        kind: "metric", "bound" or "error".
        text: What it is, and how to read it.
        formula: Its definition in symbols; empty for errors.
        source: Where it comes from.
        unit: Its unit.
        assumptions: What it needs.
    """

    name: str
    kind: str
    text: str
    formula: str = ""
    source: str = ""
    unit: str = ""
    assumptions: str = ""


_A = "Arora, Ge, Neyshabur, Zhang 2018 [A]"
_PLOTTED = "None: constants, logarithms and depth are dropped. It compares nets; it says nothing about new rows."

_METRICS = (
    Topic(
        "layer_cushion",
        "metric",
        "How far a layer's output is from being as small as its weights allow. Noise is cut down by a layer with a large"
        " cushion, so its weights can be compressed further. Trained nets have larger cushions than random ones.",
        "mu_i = |x^i| / (|A^i|_F |a^i|) per row, the smallest over S; a^i enters layer i, x^i leaves it, bias included"
        " (affine form) or not (linear form)",
        f"{_A} Definition 4",
        "none; at most 1 without biases",
        "undefined where the input of the layer is 0",
    ),
    Topic(
        "interlayer_cushion",
        "metric",
        "How little of the noise at the output of layer i reaches layer j, compared with the signal.",
        "mu_{i,j} = sqrt(p_i) |x^j| / (|J^{i,j}|_F |x^i|); p_i pixels of layer i, J the Jacobian of the map from x^i to"
        " x^j at the row; in the linear form |J x^i| in place of |x^j|",
        f"{_A} Definition 5 (dense), Definition 8 (convolutional)",
        "none",
        "J is exact by masks; |J|_F is exact or a Hutchinson estimate, which the report says per pair",
    ),
    Topic(
        "minimal_interlayer_cushion",
        "metric",
        "The smallest interlayer cushion of a layer to any later one. The bound uses the clipped value, since i = j"
        " contributes 1/sqrt(h_i); the unclipped one is what [A] plots.",
        "mu_{i->} = min(1/sqrt(h_i), min_{j>i} mu_{i,j}); h_i units, or channels of a convolution",
        f"{_A} Definitions 5 and 8, Fig. 2b",
        "none",
        "all pairs are measured",
    ),
    Topic(
        "contraction",
        "metric",
        "By how much the activation behind a layer shrinks its input. About sqrt 2 for a ReLU that half of a symmetric"
        " input passes.",
        "c_i = |z| / |phi(z)| at the first element-wise gate phi behind x^i, the largest over S",
        f"{_A} Definition 6",
        "none; at least 1 for ReLU",
        "null where no gate follows; undefined on rows where the gate lets nothing through",
    ),
    Topic(
        "between_contraction",
        "metric",
        "By how much a relative error at a layer's output can grow on its way to the next layer's input: gates, pooling"
        " and reshaping together. This is what the proof of the bound needs.",
        "sum_i l_{i,t} |x^i| / |a^t| at the input of layer t, over the layers that feed it; l their Lipschitz constant;"
        " the largest over the t that x^i feeds",
        f"{_A} Definition 6, as its proof uses it",
        "none",
    ),
    Topic(
        "smoothness_inverse",
        "metric",
        "How far the net is from being linear within reach of the noise: 0 where no gate flips. The theorem needs"
        " rho >= 3d under the noise that compression makes; gaussian noise is for display.",
        "1/rho_{i,j} = |x^i| |M(x^i + eta) - M(x^i) - J eta| / (|eta| |x^j|), the largest over the probes",
        f"{_A} Definition 7 (its 'smallest' reads 'largest')",
        "none",
        "a measurement for the noise that was drawn, not a proof for other noise",
    ),
    Topic(
        "beta",
        "metric",
        "Whether all pixels of a layer matter alike to the output. 1 if they do, sqrt(p) if one pixel is all that counts.",
        "beta_i = max over pixels of sqrt(p_i) |J_{:,pixel}|_F / |J|_F, J to the logits; 1 for dense layers",
        f"{_A} Definition 9",
        "none; from 1 to sqrt(p_i)",
        "null for more than 100 classes",
    ),
    Topic(
        "noise_sensitivity",
        "metric",
        "By how much gaussian noise as large as a layer's input disturbs its output, on average. Close to the stable rank"
        " if the input lies along the weight's top singular vectors.",
        "psi = |M|_F^2 |a|^2 / |M a|^2, M the layer's whole linear map",
        f"{_A} Definition 3 by Proposition 3.1",
        "none; at least the stable rank without biases",
    ),
    Topic(
        "jacobian_norm",
        "metric",
        "The Frobenius norm of the Jacobian from the output of layer i to that of layer j, at a row.",
        "|J^{i,j}|_F, exact by one product per class, row or column, or from |J g|^2 for gaussian g",
        f"{_A} Definition 5",
        "output per input",
    ),
    Topic(
        "smoothness_holds",
        "metric",
        "Whether every probe had rho >= 3d for this pair. Under gaussian noise this satisfies no theorem.",
        "1/rho <= 1/(3d)",
        f"{_A} Theorem 4.1",
    ),
    Topic(
        "margin",
        "metric",
        "How much larger the logit of the right class is than any other. A row counts as an error unless its margin is"
        " positive: ties and NaN are errors.",
        "f(x)[y] - max_{k != y} f(x)[k]",
        "the field's convention",
        "logits",
    ),
    Topic(
        "gamma",
        "metric",
        "The margin that bounds are stated at: a given value, else the 5th percentile of all margins if that is positive,"
        " else of the positive margins.",
        "loss_at_gamma is the share of rows whose margin is at most gamma",
        f"{_A} Section 2",
        "logits",
    ),
    Topic(
        "effective_parameters",
        "metric",
        "The layer's term in the bound of [A], to be read beside its actual number of weights, as in [A] Table 1.",
        "q_i = c_i^2 beta_i^2 ceil(kappa_i/s_i)^2 / (mu_i^2 mu_{i->}^2)",
        f"{_A} Theorem 5.1, Table 1",
        "parameters, up to constants and logarithms",
    ),
    Topic(
        "compression_percent",
        "metric",
        "Effective parameters as a share of the layer's weights, [A] Table 1. Above 100 the theory finds nothing to"
        " compress.",
        "100 q_i / parameters",
        f"{_A} Table 1",
        "percent",
    ),
    Topic("frobenius_norm", "metric", "The root of the sum of squared weights of a layer.", "|A|_F", "-", "weights"),
    Topic(
        "spectral_norm",
        "metric",
        "The largest factor by which a layer's linear map stretches its input, three ways: of the kernel read as a"
        " matrix, as published tables have it; from below by power iteration on the layer; and a proved upper bound."
        " For convolutions the first may be too small by the square root of the kernel's taps.",
        "|A|_2",
        "Bartlett et al. 2017; the bound by counting the windows that an entry stands in",
        "output per input",
    ),
    Topic(
        "stable_rank",
        "metric",
        "How many directions a weight matrix really uses.",
        "|A|_F^2 / |A|_2^2, of the weight read as a matrix",
        "-",
        "dimensions",
    ),
    Topic(
        "sub_sampling_zeta",
        "metric",
        "Extremes that are read off n of m rows may fail on this share of the rows. 0 if every row was measured.",
        "C(r+p-1, r) sum_{i<r+p} C(n, i) zeta^i (1-zeta)^(n-i) = delta/3, r rows discarded, p numbers claimed",
        "the scenario bound with discarding (Campi and Garatti 2011)",
        "share of rows",
        "the n rows are a uniform sample of the m",
    ),
)

_BOUNDS = (
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
        f"{_A} Theorem 5.1, and 4.1 for dense nets",
        "rows",
        _PLOTTED,
    ),
    Topic(
        "theorem-2.2",
        "bound",
        "An upper bound on the error of new rows for a net that is this one with its layers truncated and rounded. Every"
        " constant and every bit is counted. For most trained nets it is vacuous, since norms multiply over the layers.",
        "Lhat_gamma(f) + sqrt((ln2 bits + ln(1/delta)) / 2m), if sum_i w_i |a^i(x)| <= gamma / sqrt 2 on all of S",
        f"{_A} Theorem 2.2, with its slips mended",
        "probability of error",
        "the rows were drawn independently; the architecture was chosen without them",
    ),
    Topic(
        "theorem-4.1",
        "bound",
        "The bound by noise stability with every constant, for dense chains: the net is projected on random signs, and"
        " the bits of the projections are counted.",
        "Lhat_gamma(f) + zeta + sqrt((ln2 sum_i bits_i + ln(3/delta)) / 2m)",
        f"{_A} Theorem 4.1, counting bits in place of a covering",
        "probability of error",
        "smoothness of at least 3d under the noise of compression; open while only gaussian noise was measured",
    ),
)

TOPICS: dict[str, Topic] = {
    topic.name: topic for topic in (*_METRICS, *_BOUNDS, *(Topic(code, "error", text) for code, text in CODES.items()))
}
"""Every topic by its name."""


def closest(name: str) -> list[str]:
    """Topics whose names resemble a word, the closest first."""
    import difflib

    wanted = name.lower().replace(" ", "_")
    inside = [topic for topic in TOPICS if wanted and wanted in topic]
    return list(dict.fromkeys([*inside, *difflib.get_close_matches(wanted, TOPICS, n=5, cutoff=0.4)]))[:5]
