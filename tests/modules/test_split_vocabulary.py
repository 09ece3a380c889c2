"""Tables that are sharded across processes give what whole tables give."""

import os

import pytest
import torch
import torch.distributed as dist
from torch.nn import functional as F

from tests.helpers.runner import free_port, server

V, C, N = 11, 3, 4


def features_of(rank):
    generator = torch.Generator().manual_seed(rank)
    features = torch.randn(N, C, generator=generator, dtype=torch.float64)
    return (
        features,
        torch.randint(V, (N,), generator=generator),
        torch.randint(V, (2, 5), generator=generator),
    )


def shard(rank, world, port, path, sparse):
    from lm_plugins.modules.embedding_dropout import Embedding
    from lm_plugins.modules.split_vocabulary import SplitVocabulary
    from lm_plugins.modules.vocabulary_matrix import VocabularyMatrix

    os.environ |= {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": port}
    dist.init_process_group("gloo", rank=rank, world_size=world)
    torch.manual_seed(1)
    split = SplitVocabulary(V)
    embedding = Embedding(V, C, 0.5, sparse=sparse, split=split).double()
    output = VocabularyMatrix(C, V, weight=embedding.weight, sparse=sparse, split=split).double()
    features, target, index = features_of(rank)
    features.requires_grad_()
    embedded = embedding(index)
    nll = output.nll(features, target, ignore_index=target[0])
    scores = output.scores(features.unsqueeze(1), torch.arange(V))
    (embedded.pow(2).sum() + nll.pow(2).sum() + scores.pow(3).sum()).backward()
    shards = [embedding.weight.data, output.bias.data]
    grads = [p.grad.to_dense() * world for p in (embedding.weight, output.bias)]
    check_state_dict_is_refused(output, world)
    split.gather([*shards, *grads])
    out = {"embedded": embedded, "nll": nll, "scores": scores, "d_features": features.grad}
    out = {name: x.detach() for name, x in out.items()}
    if rank == 0:
        out |= {f"whole{i}": split.whole(x) for i, x in enumerate([*shards, *grads])}
        out |= {f"saved {name}": x for name, x in output.state_dict().items()}
    before = {name: p.clone() for name, p in output.named_parameters()}
    saved = [output.state_dict()]
    dist.broadcast_object_list(saved)
    output.load_state_dict(saved[0])
    assert all(torch.equal(p, before[name]) for name, p in output.named_parameters())
    split.release()
    check_state_dict_is_refused(output, world)
    torch.save(out, f"{path}/{rank}")
    dist.destroy_process_group()


def check_state_dict_is_refused(module, world):
    """Without whole tables there is nothing that a checkpoint could hold."""
    if world > 1:
        with pytest.raises(ValueError, match=f"sharded across {world} processes and was not gathered"):
            module.state_dict()


@pytest.mark.parametrize("world, sparse", [(1, False), (2, False), (3, True)])
def test_values_gradients_and_checkpoints_are_those_of_whole_tables(world, sparse, tmp_path):
    port = free_port()
    ranks = [server.Process(target=shard, args=(r, world, port, tmp_path, sparse)) for r in range(world)]
    [rank.start() for rank in ranks], [rank.join(60) for rank in ranks]
    assert [rank.exitcode for rank in ranks] == [0] * world
    outputs = [torch.load(tmp_path / str(rank)) for rank in range(world)]

    torch.manual_seed(1)
    table = torch.empty(V, C).uniform_(-0.5, 0.5).double().requires_grad_()
    bias = torch.zeros(V).double().requires_grad_()
    for rank in range(world):
        features, target, index = features_of(rank)
        features.requires_grad_()
        logits = F.linear(features, table, bias)
        nll = F.cross_entropy(logits, target, reduction="none").masked_fill(target == target[0], 0)
        expected = {"embedded": table[index], "nll": nll, "scores": logits.unsqueeze(1)}
        sum(x.pow(k).sum() for x, k in zip(expected.values(), (2, 2, 3), strict=True)).backward()
        expected["d_features"] = features.grad
        for name, x in expected.items():
            torch.testing.assert_close(outputs[rank][name], x.detach(), msg=f"{name} of {rank}")
    if world > 1:
        whole = [table.detach(), bias.detach(), table.grad, bias.grad]
        for name, x in zip(("whole0", "whole1", "whole2", "whole3"), whole, strict=True):
            torch.testing.assert_close(outputs[0][name], x, msg=name)
        torch.testing.assert_close(outputs[0]["saved weight"], table.detach())
        assert outputs[1]["embedded"].shape == (2, 5, C) and len(outputs[0]["saved bias"]) == V


def test_a_split_output_has_no_logits_of_all_words():
    from lm_plugins.modules.split_vocabulary import SplitVocabulary
    from lm_plugins.modules.vocabulary_matrix import VocabularyMatrix

    split = SplitVocabulary(V)
    output = VocabularyMatrix(C, V, split=split)
    assert output(torch.zeros(2, C)).shape == (2, V)  # one process has them
    split.world = 2
    with pytest.raises(ValueError, match="use a single process"):
        output(torch.zeros(2, C))
