"""Packing: every branch is computed as if it were alone after its context."""

import torch

from objectives.lora_ft.packing import Branching, pack, rows

QUESTION = Branching([10, 11, 12], [[20, 21], [30, 31, 32]])
INSTRUCTION = Branching([40, 41], [[50, 51]])


def test_the_context_and_all_but_the_last_token_of_each_branch_are_read_once() -> None:
    # 3 of the context, 1 of 2 and 2 of 3 of the branches.
    assert QUESTION.n_inputs == 6
    packed = pack([[QUESTION, INSTRUCTION]])
    assert packed.tokens.tolist() == [[10, 11, 12, 20, 30, 31, 40, 41, 50]]


def test_a_branch_continues_the_positions_of_its_context() -> None:
    packed = pack([[QUESTION, INSTRUCTION]])
    assert packed.positions.tolist() == [[0, 1, 2, 3, 3, 4, 0, 1, 2]]


def test_a_token_sees_its_context_and_its_own_branch_only() -> None:
    seen = pack([[QUESTION, INSTRUCTION]]).mask[0, 0]
    assert seen[3].nonzero().flatten().tolist() == [0, 1, 2, 3]  # the first branch
    assert seen[5].nonzero().flatten().tolist() == [0, 1, 2, 4, 5]  # the second
    assert seen[8].nonzero().flatten().tolist() == [6, 7, 8]  # the other sequence


def test_the_last_token_of_the_context_predicts_the_first_of_each_branch() -> None:
    packed = pack([[QUESTION, INSTRUCTION]])
    assert packed.predictors.tolist() == [2, 3, 2, 4, 5, 7, 8]
    assert packed.targets.tolist() == [20, 21, 30, 31, 32, 50, 51]
    assert packed.owners.tolist() == [0, 0, 1, 1, 1, 2, 2]


def test_predictors_count_through_the_flattened_rows() -> None:
    packed = pack([[INSTRUCTION], [QUESTION]])  # rows of 3 and 6 tokens, 6 wide
    assert packed.tokens.shape == (2, 6)
    assert packed.predictors.tolist() == [1, 2, 8, 9, 8, 10, 11]


def test_padding_sees_something_so_that_no_softmax_is_empty() -> None:
    assert bool(pack([[INSTRUCTION], [QUESTION]]).mask.any(dim=-1).all())


def test_rows_hold_every_sequence_once_and_are_equally_long() -> None:
    generator = torch.Generator().manual_seed(0)
    lengths = torch.randint(20, 120, (40,), generator=generator).tolist()
    sequences = [Branching([1] * length, [[2]]) for length in lengths]
    filled = rows(sequences, 256)
    assert sorted(i for row in filled for i in row) == list(range(40))
    sums = [sum(lengths[i] for i in row) for row in filled]
    # Longest first to the shortest row: the last one placed is the spread at most, 119 tokens;
    # with two or three to a row it stays far below.
    assert len(filled) % 2 == 0 and max(sums) - min(sums) < 60


def test_fewer_sequences_than_rows_get_one_row_each() -> None:
    assert rows([INSTRUCTION], 256) == [[0]]
