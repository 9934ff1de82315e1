"""Explanations of the numbers of a report that belong to no record of the catalogue."""

from onnxbound.documents.topic import ARORA, Topic

METRICS = (
    Topic(
        "smoothness_holds",
        "metric",
        "Whether every probe had rho >= 3d for this pair. Under gaussian noise this satisfies no theorem.",
        "1/rho <= 1/(3d)",
        f"{ARORA} Theorem 4.1",
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
        f"{ARORA} Section 2",
        "logits",
    ),
    Topic(
        "effective_parameters",
        "metric",
        "The layer's term in the bound of [A], to be read beside its actual number of weights, as in [A] Table 1.",
        "q_i = c_i^2 beta_i^2 ceil(kappa_i/s_i)^2 / (mu_i^2 mu_{i->}^2)",
        f"{ARORA} Theorem 5.1, Table 1",
        "parameters, up to constants and logarithms",
    ),
    Topic(
        "compression_percent",
        "metric",
        "Effective parameters as a share of the layer's weights, [A] Table 1. Above 100 the theory finds nothing to"
        " compress.",
        "100 q_i / parameters",
        f"{ARORA} Table 1",
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
    Topic(
        "rows",
        "metric",
        "The rows of the training set S that were used; every bound is about these.",
        "m = |S|",
        "-",
        "rows",
    ),
    Topic(
        "measured_rows",
        "metric",
        "The rows behind the properties that need Jacobians, a uniform sample of the training rows.",
        "n <= m",
        "-",
        "rows",
    ),
    Topic("classes", "metric", "The number of classes; guessing errs on 1 - 1/K.", "K", "-", "classes"),
    Topic("depth", "metric", "The number of weighted layers.", "d", "-", "layers"),
    Topic(
        "train_error",
        "metric",
        "The share of the training rows on which the net errs: those without a positive margin.",
        "Lhat_0(f)",
        f"{ARORA} Section 2",
        "share of rows",
    ),
    Topic(
        "test_error",
        "metric",
        "The same on rows that the net was not trained on. Less the training error it is the true gap, which the bounds"
        " are to be judged by.",
        "L_0(f), estimated on the test set",
        f"{ARORA} Section 2",
        "share of rows",
    ),
    Topic("weights", "metric", "The entries of a layer's weight, its bias left out.", "|A^i|_0", "-", "numbers"),
    Topic(
        "max_logit_norm",
        "metric",
        "The largest norm of the logits on a training row; the noise-stability bounds grow with it.",
        "max over S of |f(x)|",
        f"{ARORA} Theorem 5.1",
        "logits",
    ),
    Topic(
        "rows_rounded_otherwise",
        "metric",
        "Of a quantised net, rows on which onnxbound and onnxruntime round some value to different neighbours, since it lies"
        " on the edge between them to within the last bits of float32. Both are right; many such rows say that the net is"
        " sensitive to one step. Jacobians of such nets are those of the clip at the ends of each range, without rounding.",
        "rows with |margin - margin'| > 1e-4 max|f(x)|",
        "our own",
        "rows",
    ),
    Topic(
        "rows_with_ties",
        "metric",
        "Measured rows at which a gate's input is exactly 0 or a pooling window has equal maxima, so that the net has no"
        " derivative; the first index counts, and a gate is closed.",
        "-",
        "-",
        "rows",
    ),
    Topic("seconds", "metric", "Wall time of the analysis.", "-", "-", "seconds"),
    Topic(
        "gap",
        "metric",
        "Test error less training error: what a bound is to predict. Its interval is that of the test error alone, exact for"
        " the number of test rows.",
        "L_0(f) - Lhat_0(f)",
        f"{ARORA} Fig. 4",
        "share of rows",
        "the test rows were drawn like the training rows and chosen before the net was seen",
    ),
    Topic(
        "correlation",
        "metric",
        "Kendall's tau-b between a capacity and the gaps of several nets: 1 if it puts them in the order of their gaps, -1 in"
        " the opposite one, about 0 if it knows nothing.",
        "(concordant - discordant pairs) / sqrt(pairs untied in one x pairs untied in the other); 95 % interval"
        " tanh(atanh(tau) +- 1.96 sqrt(0.437 / (n - 4)))",
        "Kendall 1945; Fieller, Hartley and Pearson 1957",
        "from -1 to 1",
        "the interval is approximate, for five nets or more, and for nets that do not depend on one another",
    ),
    Topic(
        "share",
        "metric",
        "On what share of the rows the second of two nets has the larger value. Both are measured at the same rows, so this is"
        " one binomial variable, and its interval is exact; all intervals of a comparison hold together with 95 %.",
        "larger / rows, Clopper-Pearson at level 0.05 / (number of statements)",
        "Clopper and Pearson 1934",
        "share of rows",
        "the rows stand for others drawn like them",
    ),
    Topic(
        "relative_error",
        "metric",
        "How large the error at a layer's output is, relative to the signal there, when gaussian noise was added to the input"
        " of an earlier layer, or of this one.",
        "|x'^j - x^j| / |x^j|, x' with eta = r |a^i| g / |g| added to a^i for layer i alone; at the logits for j = d",
        f"{ARORA} Fig. 1",
        "none",
        "a mean over the probes per row; a measurement for noise of that length",
    ),
)
"""In the order of a report."""
