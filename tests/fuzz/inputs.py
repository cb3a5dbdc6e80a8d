"""Inputs without coverage to guide them: seeds that Hypothesis changes, words that it strings together."""

from __future__ import annotations

from hypothesis import strategies as st

from tests.fuzz.targets import Target


@st.composite
def changed(draw: st.DrawFn, target: Target) -> bytes:
    """A seed with a few places cut, overwritten, repeated, or filled with words of the target."""
    found = draw(st.sampled_from(list(target.seeds)))
    pieces = st.sampled_from(list(target.words)) | st.binary(min_size=1, max_size=4)
    for _ in range(draw(st.integers(1, 4))):
        at = draw(st.integers(0, len(found)))
        length = draw(st.sampled_from([0, 0, 1, 1, 4, 20]))
        middle = found[at : at + length]
        match draw(st.sampled_from(["cut", "put", "put", "repeat", "splice"])):
            case "cut":
                middle = b""
            case "put":
                middle = draw(pieces)
            case "repeat":
                middle = middle * draw(st.integers(2, 30))
            case _:
                other = draw(st.sampled_from(list(target.seeds)))
                middle = other[draw(st.integers(0, len(other))) :]
        found = (found[:at] + middle + found[at + length :])[: target.longest]
    return found


def inputs(target: Target) -> st.SearchStrategy[bytes]:
    """Inputs for a target."""
    words = st.lists(st.sampled_from(list(target.words)), max_size=20)
    strung = words.map(b"".join) | words.map(b" ".join)
    # The first byte of a seed often chooses what the rest of it is.
    prefixed = st.builds(bytes.__add__, st.sampled_from([seed[:1] for seed in target.seeds]), strung)
    return changed(target) | changed(target) | strung | prefixed | st.binary(max_size=200)
