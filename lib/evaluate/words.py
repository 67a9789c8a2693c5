"""What the numbers of an axis mean, in a few sentences, with where they come from."""

MEANINGS = {
    "corruption": (
        "The 15 corruptions of Hendrycks and Dietterich (2019) and the four that they held back, made anew on the "
        "images that are tested, at the severities of ImageNet-C, or of CIFAR-10-C below 64 px. Every encoder saw "
        "the same corrupted images of its size."
    ),
    "natural": (
        "Balanced error: the error in each class, averaged over the classes, since sets differ in how many images "
        "each class has."
    ),
    "invariance": (
        "The 18 transforms of Ericsson, Gouk and Hospedales (2021). Features are whitened by those of training "
        "images; 100 means that a transform leaves them where they were, and two different images score about 0."
    ),
    "read-out": (
        "On rendered scenes of 32 px, whose causes are known: the share of a cause's variance that ridge "
        "regression predicts from the features, by nested cross-validation. 0 is what the mean predicts."
    ),
    "adversarial": (
        "Projected gradient descent on the cross-entropy, from random starts, on the images before they are "
        "resized and normalised. An attack finds an upper bound: what survives it may fall to a better one. "
        "Encoders that were never trained against an adversary fall to small changes."
    ),
    "cues": (
        "Versions of the test images that keep one cue and their label. Shape bias (Geirhos et al. 2019) is "
        "measured on rendered scenes whose texture belongs to another class, by a probe for which both cues told "
        "all of the class: the share of shape decisions among those for either."
    ),
    "background": (
        "On rendered scenes, cut by exact masks (after Xiao et al. 2020): in one world walls are drawn at random, "
        "in the other each class has its own. The background gap is the accuracy with a wall of the same class "
        "less that with a wall of another."
    ),
    "calibration": (
        "The debiased estimator of Kumar, Liang and Ma (2019) with 15 bins: the root of the mean squared "
        "difference of confidence and accuracy. Confidence is the largest of the probe's or the head's "
        "probabilities."
    ),
}
