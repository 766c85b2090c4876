"""LitGPT's Llama with LoRA, forward and backward, without the costs of training all weights.

Up to bfloat16's rounding, the model computes the same as `litgpt.lora.GPT`, over a forest
(`forest.py`): the same root mean square norm, rotary positions, grouped-query attention, SwiGLU and
adapters

    y = W x + (alpha / r) B A dropout(x).

Three costs are avoided: gradients of frozen weights, float32 copies that autograd would keep, and
the attention's padding between sequences. Scores and softmax are float32, and products are
bfloat16. Each function defines its own derivative; `tests/test_lora_lean.py` compares the
derivatives with LitGPT's.

Shapes: T nodes, C channels, S paths of L nodes, H query heads in G groups of size D, N targets.
"""

import math
from collections.abc import Callable
from typing import Any

import torch
from litgpt.lora import GPT, Config
from torch import Tensor
from torch.autograd import Function
from torch.nn import functional

from objectives.lora_ft.forest import Forest

_HEAD_ROWS = 16  # targets at once in the loss, so that their logits fit the cache
Gradients = tuple[Tensor | None, ...]


def can_read(model: GPT) -> bool:
    """Return whether a model is a plain Llama as computed here, without adapters on its head."""
    return _is_plain_llama(model.config) and not hasattr(model.lm_head, "lora_A")


def _is_plain_llama(config: Config) -> bool:
    return bool(
        config.norm_class_name == "RMSNorm"
        and config.mlp_class_name == "LLaMAMLP"
        and config.rope_n_elem == config.head_size
        and not config.rope_interleave
        and not config.bias
        and not config.attn_bias
        and not config.lm_head_bias
        and not config.norm_qk
        and not config.parallel_residual
        and not config.post_attention_norm
        and not config.post_mlp_norm
        and not config.attention_scores_scalar
        and config.norm_1
        and config.norm_2
    )


def log_likelihoods(model: GPT, forest: Forest) -> Tensor:
    """Return (N,) log-probabilities of the targets, in nats, from a float32 log-softmax."""
    config = model.config
    cos, sin = model.cos[forest.positions].float(), model.sin[forest.positions].float()
    length = forest.paths.shape[1]
    mask = torch.full((length, length), -math.inf).triu(1)
    mask = mask.repeat(config.n_head // config.n_query_groups, 1)  # (H / G * L, L)
    shape = (config.n_query_groups, config.n_head // config.n_query_groups, config.head_size)
    x = functional.embedding(forest.tokens, model.transformer.wte.weight)  # (T, C)
    for block in model.transformer.h:
        qkv = _linear(block.attn.qkv, _norm(block.norm_1, x))
        y = _attention(qkv, cos, sin, forest.paths, forest.places, mask, shape)
        x = x + _linear(block.attn.proj, y)
        z = _norm(block.norm_2, x)
        h = _swiglu(_linear(block.mlp.fc_1, z), _linear(block.mlp.fc_2, z))
        x = x + _linear(block.mlp.proj, h)
    x = _norm(model.transformer.ln_f, x.index_select(0, forest.predictors))
    return -_nll(x, model.lm_head.linear.weight, forest.targets)


def _linear(layer: Any, x: Tensor) -> Tensor:
    """Apply LitGPT's linear layer with its adapter."""
    weight = layer.linear.weight
    if layer.r == 0 or not hasattr(layer, "lora_A"):
        return functional.linear(x, weight)
    dropped, scale = None, layer.scaling
    if layer.training and hasattr(layer.lora_dropout, "draw"):
        dropped = layer.lora_dropout.draw(x)
        scale *= layer.lora_dropout.scale
    rows = getattr(layer, "qkv_shapes", [weight.shape[0]])
    if sum(rows) != weight.shape[0]:  # not all of q, k and v have adapters
        return _partial(layer, x, dropped, scale)
    return _adapted(x, weight, layer.lora_A, layer.lora_B, scale, dropped, rows)


def _partial(layer: Any, x: Tensor, dropped: Tensor | None, scale: float) -> Tensor:
    """Apply adapters to some of q, k and v, with autograd."""
    inputs = x if dropped is None else x.masked_fill(dropped, 0)
    after = functional.linear(inputs, layer.lora_A).chunk(len(layer.qkv_shapes), dim=-1)
    parts = zip(after, torch.split_with_sizes(layer.lora_B, layer.qkv_shapes), strict=True)
    update = torch.cat([functional.linear(u, b) for u, b in parts], dim=-1) * scale
    padded: Tensor = layer.zero_pad(update)
    return functional.linear(x, layer.linear.weight) + padded


def _norm(layer: Any, x: Tensor) -> Tensor:
    weight = 1 + layer.weight if layer.add_unit_offset else layer.weight
    return _rms_norm(x, weight.float(), layer.eps)


class _RmsNorm(Function):
    """y = w x / sqrt(mean(x^2) + eps), in float32."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, weight: Tensor, eps: float) -> Tensor:
        wide = x.float()
        inverse = torch.rsqrt(wide.square().mean(-1, keepdim=True) + eps)
        ctx.save_for_backward(x, inverse, weight)
        return (
            wide.mul_(inverse).mul_(weight).to(x.dtype)
            if wide is not x
            else ((wide * inverse).mul_(weight))
        )

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> Gradients:
        x, inverse, weight = ctx.saved_tensors
        g = gradients[0] * weight  # float32
        wide = x.float() * inverse
        g.addcmul_(wide, (g * wide).mean(-1, keepdim=True), value=-1)
        return g.mul_(inverse).to(x.dtype), None, None


class _Adapted(Function):
    """y = W x + scale B A dropout(x); A and B are stacked if W is, as for q, k and v."""

    @staticmethod
    def forward(
        ctx: Any,
        x: Tensor,
        weight: Tensor,
        a: Tensor,
        b: Tensor,
        scale: float,
        dropped: Tensor | None,
        rows: list[int],
    ) -> Tensor:
        inputs = x if dropped is None else x.masked_fill(dropped, 0)
        after = functional.linear(inputs, a)  # (T, r a stack)
        ctx.save_for_backward(inputs, weight, a, b, after, dropped)
        ctx.scale, ctx.rows = scale, rows
        y = functional.linear(x, weight)
        if len(rows) == 1:
            return y.addmm_(after, b.t(), alpha=scale)
        for part, u, b_part in _parts(y, after, b, rows):
            part.add_(functional.linear(u, b_part), alpha=scale)
        return y

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> Gradients:
        g = gradients[0]
        inputs, weight, a, b, after, dropped = ctx.saved_tensors
        parts = _parts(g, after, b, ctx.rows)
        grad_b = torch.cat([part.t() @ u for part, u, _ in parts]).mul_(ctx.scale)
        grad_after = torch.cat([part @ b_part for part, _, b_part in parts], 1).mul_(ctx.scale)
        grad_a = grad_after.t() @ inputs
        grad_x = None
        if ctx.needs_input_grad[0]:
            grad_x = g @ weight
            if dropped is None:
                grad_x.addmm_(grad_after, a)
            else:
                grad_x.add_((grad_after @ a).masked_fill_(dropped, 0))
        return grad_x, None, grad_a, grad_b, None, None, None


def _parts(
    y: Tensor, after: Tensor, b: Tensor, rows: list[int]
) -> list[tuple[Tensor, Tensor, Tensor]]:
    """Return y, A dropout(x), and the B of each stacked matrix."""
    stacked = torch.split_with_sizes(y, rows, 1), after.chunk(len(rows), 1)
    return list(zip(*stacked, torch.split_with_sizes(b, rows), strict=True))


class _Attention(Function):
    """Causal attention along each path, after rotating q and k by their angles."""

    @staticmethod
    def forward(
        ctx: Any,
        qkv: Tensor,
        cos: Tensor,
        sin: Tensor,
        paths: Tensor,
        places: Tensor,
        mask: Tensor,
        shape: tuple[int, int, int],
    ) -> Tensor:
        groups, n, size = shape
        s, length = paths.shape
        heads = qkv.view(len(qkv), -1, size)  # (T, H + 2 G, D)
        turned = _rotate(heads[:, : groups * (n + 1)].float(), cos, sin).to(qkv.dtype)
        flat = paths.flatten()
        q = turned[:, : groups * n].index_select(0, flat)
        q = q.view(s, length, groups, n, size).permute(0, 2, 3, 1, 4)
        q = q.reshape(s * groups, n * length, size)
        k, v = (
            part.index_select(0, flat)
            .view(s, length, groups, size)
            .transpose(1, 2)
            .reshape(s * groups, length, size)
            for part in (turned[:, groups * n :], heads[:, groups * (n + 1) :])
        )
        scores = torch.baddbmm(mask, q.float(), k.float().mT, alpha=1 / math.sqrt(size))
        p = torch.softmax(scores, -1)  # (S G, n L, L)
        y = torch.bmm(p.to(v.dtype), v)
        ctx.save_for_backward(q, k, v, p, cos, sin, flat, places)
        ctx.sizes = (s, length, groups, n, size)
        y = y.view(s, groups, n, length, size).permute(0, 3, 1, 2, 4)
        return y.reshape(s * length, groups * n * size).index_select(0, places)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> Gradients:
        q, k, v, p, cos, sin, flat, places = ctx.saved_tensors
        s, length, groups, n, size = ctx.sizes
        g = gradients[0].new_zeros(s * length, groups * n * size)
        g[places] = gradients[0]
        g = g.view(s, length, groups, n, size).permute(0, 2, 3, 1, 4)
        g = g.reshape(s * groups, n * length, size)
        grad_v = torch.bmm(p.to(v.dtype).mT, g)
        grad_p = torch.bmm(g, v.mT).float()
        grad_p.sub_((grad_p * p).sum(-1, keepdim=True)).mul_(p).mul_(1 / math.sqrt(size))
        grad_scores = grad_p.to(q.dtype)
        grad_q = torch.bmm(grad_scores, k).view(s, groups, n, length, size)
        grad_k, grad_v = (
            part.view(s, groups, length, size).transpose(1, 2)
            for part in (torch.bmm(grad_scores.mT, q), grad_v)
        )
        grad_q = grad_q.permute(0, 3, 1, 2, 4).reshape(s, length, groups * n, size)
        along = torch.cat([grad_q, grad_k, grad_v], 2).float().view(s * length, -1)
        total = along.new_zeros(len(cos), along.shape[1]).index_add_(0, flat, along)
        heads = total.view(len(cos), -1, size)
        turned = heads[:, : groups * (n + 1)]
        turned.copy_(_rotate(turned, cos, -sin))
        return total.to(q.dtype), None, None, None, None, None, None


def _rotate(x: Tensor, cos: Tensor, sin: Tensor) -> Tensor:
    """Rotate (T, heads, D) by (T, D) angles; the two halves of the table of angles are equal."""
    half = x.shape[-1] // 2
    c, s = cos[:, None, :half], sin[:, None, :half]
    first, second = x[..., :half], x[..., half:]
    return torch.cat([first * c - second * s, second * c + first * s], -1)


class _SwiGlu(Function):
    """y = silu(a) b."""

    @staticmethod
    def forward(ctx: Any, a: Tensor, b: Tensor) -> Tensor:
        ctx.save_for_backward(a, b)
        return functional.silu(a).mul_(b)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> Gradients:
        g = gradients[0]
        a, b = ctx.saved_tensors
        grad_b = functional.silu(a).mul_(g)
        return torch.ops.aten.silu_backward(g * b, a), grad_b


class _Nll(Function):
    """Return (N,) -log softmax(W x)[target], float32."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, weight: Tensor, targets: Tensor) -> Tensor:
        logits = functional.linear(x, weight)  # (N, vocabulary)
        losses = torch.empty(len(x))
        for start in range(0, len(x), _HEAD_ROWS):
            here = slice(start, start + _HEAD_ROWS)
            logs = torch.log_softmax(logits[here].float(), -1)
            losses[here] = -logs.gather(1, targets[here, None])[:, 0]
        ctx.save_for_backward(weight, targets, logits, losses)
        return losses

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> Gradients:
        weight, targets, logits, losses = ctx.saved_tensors
        g = gradients[0]
        chosen = logits.gather(1, targets[:, None]).float() + losses[:, None]  # log of the sum
        scaled = torch.empty_like(logits)
        for start in range(0, len(logits), _HEAD_ROWS):
            here = slice(start, start + _HEAD_ROWS)
            p = logits[here].float().sub_(chosen[here]).exp_()
            p.scatter_add_(1, targets[here, None], -torch.ones_like(p[:, :1]))
            scaled[here] = p.mul_(g[here, None])
        return scaled @ weight, None, None


_rms_norm: Callable[..., Tensor] = _RmsNorm.apply
_adapted: Callable[..., Tensor] = _Adapted.apply
_attention: Callable[..., Tensor] = _Attention.apply
_swiglu: Callable[..., Tensor] = _SwiGlu.apply
_nll: Callable[..., Tensor] = _Nll.apply
