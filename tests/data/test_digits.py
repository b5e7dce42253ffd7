import numpy as np


def test_digits_are_small_grey_images_that_use_the_whole_range(opened, inputs_of):
    corpus = opened("digits")
    assert corpus.kind == "image"
    assert corpus.train.inputs.shape == (1797, 1, 8, 8)
    assert corpus.train.inputs.dtype == np.uint8
    assert corpus.train.inputs.max() == 240
    assert sorted(set(corpus.train.targets.tolist())) == list(range(10))
    assert np.array_equal(inputs_of("digits").inputs, corpus.train.inputs)
