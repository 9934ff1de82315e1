"""What `onnxbound explain` says of certificates."""

from onnxbound.documents.topic import Topic

_TAIL = "Langford 2005, Tutorial on practical prediction theory for classification; Kraft's inequality"
_DRAWN = (
    "rows drawn independently from the distribution of new rows, none dropped; the format, delta and the options of reading"
    " fixed without looking at them"
)

CERTIFICATES = (
    Topic(
        "compressed",
        "certificate",
        "What certify proves of a network that is decoded from few bits: its size is the bound. Everything that may"
        " depend on the rows is in code.bin, the architecture too, and anyone can decode it, count the errors and compute the"
        " bound again. analyze only says whether the net has a code.",
        "sup { p : P[Bin(m, p) <= k] >= delta 2^-bits }; k errors on m rows, each row decided with slack; bits = 8 x size of"
        " code.bin; at most the p with kl(k/m || p) = (bits ln 2 + ln(1/delta)) / m",
        _TAIL,
        "share of new rows",
        _DRAWN,
    ),
    Topic(
        "original_unlabelled",
        "certificate",
        "What certify with `unlabelled` proves of the original network, which itself has far too many bits: it decides like"
        " the decoded one on all but few fresh rows, and those need no labels.",
        "L(f) <= L(g) + P[f != g], each at delta / 2; the second by the one-sided interval of Clopper and Pearson",
        f"{_TAIL}; Clopper & Pearson 1934",
        "share of new rows",
        f"{_DRAWN}; the unlabelled rows were drawn after both networks were fixed; with `unlabelled_known` only the original one has to be, and the second term is paid at delta / 2 2^-bits",
    ),
    Topic(
        "holdout",
        "certificate",
        "What labelled rows that the network has not seen say of it: the baseline that every other bound is to be compared"
        " with. It needs labels that training did not use. analyze with `test_rows` gives it too, without a file for others.",
        "sup { p : P[Bin(m, p) <= k] >= delta }",
        "Clopper & Pearson 1934",
        "share of new rows",
        "the network and its preprocessing were fixed before these rows were looked at: no early stopping and no choice among networks by them",
    ),
    Topic(
        "prior",
        "certificate",
        "What certify with `prior` proves: the code holds only the difference from a network that has seen the first rows of"
        " the file, or none, such as the initialisation; errors are counted on the other rows.",
        "as for compressed, with m the rows that the prior has not seen",
        "Ambroladze, Parrado-Hernandez, Shawe-Taylor 2007, Tighter PAC-Bayes bounds",
        "share of new rows",
        f"{_DRAWN}; the prior has seen no row but the first N",
    ),
    Topic(
        "slack",
        "metric",
        "By how much the largest logit of a row has to lead for the row to be decided. A row that is not decided, by a tie, a"
        " lead within the slack or a number that is not finite, is an error, on new rows too. Runtimes that round otherwise"
        " differ by far less, so the statement holds for each.",
        "2^-14 of the largest absolute value of the row's logits",
        "our own",
        "a difference of logits",
    ),
    Topic(
        "bits",
        "metric",
        "Length of the code of a certified network: 8 times the size of code.bin in bytes. The architecture, weights, biases,"
        " folded BatchNorm, steps, every choice of the coder and the preprocessing are in it. The order of hidden units says"
        " nothing about a network, so it carries the first bits of what else has to be said.",
        "8 x bytes of code.bin",
        "theory of description length: Blumer, Ehrenfeucht, Haussler, Warmuth 1987, Occam's razor",
        "bits",
    ),
    Topic(
        "chance",
        "metric",
        "The error of knowing nothing: of guessing, or of always saying the commonest label, whichever is less. A bound"
        " that is not below it is vacuous.",
        "min(1 - 1/K, 1 - rows of the commonest label / m)",
        "our own",
        "share of rows",
    ),
)
