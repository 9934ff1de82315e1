"""What `onnxbound explain` says of methods of compression, and of the bounds for what they make."""

from onnxbound.documents.topic import ARORA, Topic

_DRAWN = "the rows were drawn independently; architecture and seed were chosen without them"

METHODS = (
    Topic(
        "smallest",
        "method",
        "The smallest ONNX file whose accuracy falls by at most `max_drop`. Some training rows round the weights, others"
        " choose how many bits each layer gets, and test rows decide. A few candidates are tested, the largest first, until"
        " one fails; each test has the whole probability of failure, and the last candidate that passed is guaranteed."
        " Where codes are written too they are to be small, and layers get 8, 6, 5, 4, 3 or 2 bits, in the file 8 or 4.",
        "from 16 bits everywhere to 4, the layer next whose (sensitivity * error)^2 rises least per bit that is saved:"
        " its median weight-noise sensitivity, and the relative error of its outputs when it alone is rounded; several"
        " layers at once as long as that goes well, and a layer that fails alone is passed over",
        "our own; Frantar et al. 2022 (GPTQ) for the rounding, Maurer, Hothorn, Lehmacher 1995 for the order of tests",
        "none",
        "the drop on new rows is within the limit with probability 1 - delta over the draw of the test rows",
    ),
    Topic(
        "int4-weights",
        "method",
        "Every weight as an integer of 4 bits, with one scale per output unit, in a file that DequantizeLinear reads.",
        "entries are rounded one after the other, at scales tried from the largest entry down to 0.6 of it, and those"
        " that follow make up for the error, at the moments E[z z^T] of what the layer meets; its bias keeps the mean",
        "Frantar et al. 2022, GPTQ; Hassibi, Stork 1993, Optimal brain surgeon",
        "none",
        "opset 21 and IR version 10",
    ),
    Topic(
        "int8-weights",
        "method",
        "Every weight as an integer of 8 bits, with one scale per output unit, in a file that DequantizeLinear reads.",
        "as int4-weights",
        "Frantar et al. 2022, GPTQ; Hassibi, Stork 1993, Optimal brain surgeon",
        "none",
        "opset 13",
    ),
    Topic(
        "fp16",
        "method",
        "Every weight as a float of 16 bits, which a Cast widens.",
        "the nearest number of 16 bits",
        "common practice",
        "none",
        "",
    ),
    Topic(
        "matrix-project",
        "method",
        "A matrix, or the kernel of a convolution, is described by its products with k random matrices of signs, which"
        " anyone makes again from a seed. The error that each pair of vectors sees is small, the matrix itself is far"
        " from the original. Real nets keep their accuracy only at a k far above the number of weights; `sweep` shows by"
        " how much.",
        "A^ = (1/k) sum_l <A, M_l> M_l; k = ceil(ln(4/eta) / (e^2/4 - e^3/6)) with e = eps / 2, the other half of eps"
        ' being for rounding; `constants="paper"` takes k = ln(1/eta) / eps^2, which is too small',
        f"{ARORA} Algorithm 1, with a proved constant",
        "none",
        "unbiased; |u^T (A^ - A) v| <= eps |A|_F |u| |v| with probability 1 - eta for each pair u, v",
    ),
    Topic(
        "matrix-project-conv",
        "method",
        "The kernel is projected on one random subspace, and within it again at every output position, which then has a"
        " filter of its own. The subspace is Haar's for small kernels, Hadamard's for large ones. The written model is"
        " larger than the original, and only its description is small.",
        "A^_(a,b) = (1/k) sum_l <A, M'_l> M'_l, M' = sqrt(n/(kp)) Proj_S M, S of dimension kp, p = 2 ceil(log2(1/eta)/2)",
        f"{ARORA} Algorithm 4",
        "none",
        "unbiased; positions are not independent, though [A] Lemma 12 claims it, so no theorem is claimed; the filters are"
        " the same on machines of one kind only, so there are no codes of it",
    ),
    Topic(
        "svd",
        "method",
        "Small singular values are dropped; with `factorise` a layer becomes two where that saves multiply-adds. By rank,"
        " by the share of |A|_F^2 that stays, by the share of |A|_2 below which singular values go, or by a margin.",
        "the nearest matrix of rank r; with `gamma` singular values below delta |A|_2 go,"
        " delta = gamma / (2 sqrt 2 e max|x| d prod |A|_2)",
        f"{ARORA} Lemma 1 and Theorem 2.2",
        "none",
        "",
    ),
    Topic(
        "quantise",
        "method",
        "Every weight is rounded to a grid of its output unit, symmetric around 0: the baseline. The file keeps floats, so"
        " it runs wherever the original ran; the bits that are counted are those of levels and steps.",
        "A^ = step_unit round(A / step_unit), step_unit = max |A_unit| / (2^(bits - 1) - 1)",
        "common practice",
        "none",
        "",
    ),
    Topic(
        "vector-compress",
        "method",
        "For linear classifiers: few coordinates of each class's vector are kept, drawn with probabilities that grow with"
        " their squares, and weighted so that the mean is right.",
        "c_j := 0 where |c_j| < g / (4 sqrt h); p_j = min(1, 8 c_j^2 / (eta g^2)); c^_j = c_j / p_j with probability p_j,"
        " rounded to multiples of g / (2 sqrt h)",
        f"{ARORA} Algorithm 2 and Lemma 5, without its cut of large coordinates, which breaks it",
        "none",
        "|<c^ - c, u>| <= g with probability 1 - eta for each unit u, |c| <= 1; by Chebyshev's inequality only",
    ),
    Topic(
        "vector-project",
        "method",
        "For linear classifiers: each class's vector is described by its products with k Gaussian vectors.",
        "c^ = (1/k) sum_l z_l v_l, z_l = <v_l, c> rounded to multiples of g / (2 sqrt(h k));"
        " k = ceil(ln(4/eta) / (t^2/4 - t^3/6)), t = g / 2, or 16 ln(1/eta) / g^2 in the paper",
        f"{ARORA} Algorithm 3 and Lemma 7",
        "none",
        "|<c^ - c, u>| <= g with probability 1 - eta for each unit u, |c| <= 1",
    ),
)

COMPRESSION_METRICS = (
    Topic(
        "epsilon_realised",
        "metric",
        "What Lemma 2 bounds, put to the test on sample rows: how far the compressed layer is from the original at its own"
        " input, seen from the logits. It is at most the epsilon that was asked for with the probability of the method.",
        "max over rows of |J (A^ - A) a| / (|A|_F |J|_F |a|), J the Jacobian from the layer to the logits; for a"
        " convolution |a| times the root of the most windows that an entry is in",
        f"{ARORA} Lemma 2",
        "none",
        "the input of each layer is the original's",
    ),
    Topic(
        "compressibility",
        "metric",
        "Whether the compressed net g stands for the original f at margin gamma on every row: in every logit, in norm, or"
        " by its own errors. The third is the weakest, and all that a bound needs.",
        "|f(x)[y] - g(x)[y]| <= gamma / 2 for every y; |f(x) - g(x)|_2 <= gamma / sqrt 2; errors of g <= rows of f with"
        " margin <= gamma",
        f"{ARORA} Definition 1, which lacks the 2",
        "rows against it",
    ),
    Topic(
        "guarantee",
        "metric",
        "By how much accuracy falls at most on new rows, from rows that neither net has seen. Only rows on which the two"
        " nets differ in being right count.",
        "Buehler's upper limit of p - q, from W rows that got worse and B that got better among n; the rate of rows that"
        " get better is handled as by Berger and Boos. After several tests that all pass, the largest of their limits;"
        " where one fails, what was asked for",
        "Buehler 1957; Berger, Boos 1994; Hsu, Berger 1999",
        "share of the rows",
        "the test rows were drawn independently, as new ones are; nothing was chosen by them but along the fixed order",
    ),
    Topic(
        "sweep",
        "metric",
        "Accuracy at budgets from the tightest to the widest, and the smallest from which on no more than the tolerated"
        " share is lost. For matrix-project it goes on beyond the number of weights, where it is no compression any more,"
        " to show what the theory would need.",
        "drop in accuracy on up to 1,000 rows, 0.5 % tolerated unless `max_drop` says otherwise",
        "measured",
        "share of the rows",
    ),
)

BUILT_BOUNDS = (
    Topic(
        "build-and-look",
        "bound",
        "An upper bound on the error of the compressed net on new rows: its own training errors are counted, and every bit"
        " that describes it.",
        "Lhat_0(g) + sqrt((ln2 bits + ln(1/delta)) / 2m)",
        f"{ARORA} Theorem 2.1, done rather than argued",
        "probability of error",
        _DRAWN,
    ),
    Topic(
        "build-and-look-binomial",
        "bound",
        "The same by the binomial tail itself, which is never larger.",
        "sup {p : P[Bin(m, p) <= k] >= delta 2^-bits}, k errors of g on m rows",
        "Langford 2005, Tutorial on practical prediction theory for classification",
        "probability of error",
        _DRAWN,
    ),
    Topic(
        "corollary-a.1",
        "bound",
        "The same from the margins of the original: where the compressed net is near it, g errs only on rows of small"
        " margin; where it is not, the row is an outlier and counts as an error.",
        "Lhat_gamma(f) + zeta + sqrt((ln2 bits + ln(1/delta)) / 2m), zeta the share of rows with |f - g|_2 > gamma / sqrt 2",
        f"{ARORA} Corollary A.1, with the factor 2 that Definition 1 lacks",
        "probability of error",
        _DRAWN,
    ),
)
