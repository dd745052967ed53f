"""What people call train, val and test, and which classes only sound like it."""

from __future__ import annotations

import pytest

from photovision.data.formats.split_names import split_folders, split_named


@pytest.mark.parametrize(
    ("split", "names"),
    [
        (
            "train",
            "train TRAIN Training seg_train training_set trainset train2017 TRAIN-1 train_images Train(2) xTrain",
        ),
        ("val", "val valid Validation imgs_valid val_256 dev DevSet valid.1 images-val"),
        ("test", "test X_test test1 testing_data TestImages holdout evaluation imagesTs"),
        ("train", "trainval train_val"),
    ],
)
def test_a_split_goes_by_many_names(split: str, names: str) -> None:
    assert {name: split_named(name) for name in names.split()} == dict.fromkeys(names.split(), split)


@pytest.mark.parametrize(
    "name", ["trainer", "valley", "testament", "training shoes", "test tube", "contest", "invalid", "ts", "images", ""]
)
def test_a_word_that_contains_one_is_none(name: str) -> None:
    assert split_named(name) is None


def test_other_words_do_not_matter_where_every_split_has_them() -> None:
    found = split_folders(["chest_xray_train", "chest_xray_test", "notes"])
    assert {name: tuple(one) for name, one in found.items()} == {
        "chest_xray_train": ("train", ""),
        "chest_xray_test": ("test", ""),
    }


def test_other_words_that_differ_are_classes() -> None:
    assert split_folders(["training shoes", "test tube", "valley"]) == {}
    assert split_folders(["trainA", "trainB", "testA", "testB"])["testB"] == ("test", "B")
