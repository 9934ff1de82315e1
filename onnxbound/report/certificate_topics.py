"""What `onnxbound explain` says of certificates."""

from onnxbound.documents.topic import Topic

_TAIL = "Langford 2005, Tutorial on practical prediction theory for classification; Kraft's inequality"
_DRAWN = (
    "rows drawn independently from the distribution of new rows, none dropped, filtered or repeated; skeleton, delta and"
    " kind of certificate chosen without looking at them"
)

CERTIFICATES = (
    Topic(
        "compressed",
        "certificate",
        "What certify proves of a network that is decoded from few bits: its size is the bound. Everything that may"
        " depend on the rows is in code.bin, the architecture is public in skeleton.onnx, and anyone can decode, count"
        " the errors and compute the bound again. analyze only says whether the net's operators allow it.",
        "sup { p : P[Bin(m, p) <= k] >= delta 2^-bits }; k rows of m whose margin is not above tau, bits = 8 x size of"
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
        f"{_DRAWN}; the unlabelled rows were drawn after both networks were fixed",
    ),
    Topic(
        "holdout",
        "certificate",
        "What labelled rows that the network has not seen say of it: the baseline that every other bound is to be compared"
        " with. It needs labels that training did not use. analyze with `test_rows` gives it too, without a file for others.",
        "sup { p : P[Bin(m, p) <= k] >= delta }",
        "Clopper & Pearson 1934",
        "share of new rows",
        "the network was fixed before these rows were looked at: no early stopping and no choice among networks by them",
    ),
    Topic(
        "prior",
        "certificate",
        "What certify with `prior` proves: the code holds only the difference from a network that has seen declared rows, or"
        " none, such as the initialisation; errors are counted on the other rows.",
        "as for compressed, with m the rows that the prior has not seen",
        "Ambroladze, Parrado-Hernandez, Shawe-Taylor 2007, Tighter PAC-Bayes bounds",
        "share of new rows",
        f"{_DRAWN}; the prior has seen no row but those declared, which were chosen without looking",
    ),
    Topic(
        "tau",
        "metric",
        "Slack with which certify counts errors, so that a verifier whose runtime rounds otherwise finds no more of them."
        " A verifier counts with 0.",
        "2^-14 times the largest absolute value of a logit",
        "our own",
        "a difference of logits",
    ),
    Topic(
        "bits",
        "metric",
        "Length of the code of a certified network: 8 times the size of code.bin in bytes. Weights, biases, folded"
        " BatchNorm, steps, every choice of the coder, and mean and std of the preprocessing at 32 bits each are in it;"
        " the architecture only with `charge_skeleton`.",
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
