#!/usr/bin/env python3
"""Writes the files of this folder anew: python3 make.py (PyTorch 1.13 or later; Debian's python3-torch will do).

tensors.bin, legacy.bin    all kinds of tensors, in the zip format and in the one before PyTorch 1.6
tensors.safetensors        the same values, each tensor in the order of its shape
pytorch_model-*.bin, .json a tiny Llama model in two shards, one in each format
model.safetensors          the same model
"""
import json
import struct
from collections import OrderedDict
from pathlib import Path

import torch

here = Path(__file__).parent
names = {torch.float64: "F64", torch.float32: "F32", torch.float16: "F16", torch.bfloat16: "BF16", torch.int64: "I64",
         torch.int32: "I32", torch.int16: "I16", torch.int8: "I8", torch.uint8: "U8", torch.bool: "BOOL"}


def bytes_of(t):
    t = t.detach().contiguous()
    if t.dtype == torch.bfloat16:
        t = t.view(torch.int16)
    return t.numpy().tobytes()


def safetensors(path, tensors):
    header, data = {}, b""
    for name, t in tensors.items():
        b = bytes_of(t)
        header[name] = {"dtype": names[t.dtype], "shape": list(t.shape), "data_offsets": [len(data), len(data) + len(b)]}
        data += b
    text = json.dumps(header).encode()
    text += b" " * (-len(text) % 8)
    path.write_bytes(struct.pack("<Q", len(text)) + text + data)


torch.manual_seed(1)
table = torch.randn(6, 8)
tensors = OrderedDict(
    whole=table,
    rows=table[2:4],                                  # the same storage from an offset on
    columns=table[:, 3:6],                            # rows with gaps
    transposed=torch.randn(5, 7).half().t(),
    every_other=torch.arange(20, dtype=torch.float64)[1::2],
    turned=torch.randn(2, 3, 4).to(torch.bfloat16).permute(2, 0, 1),
    parameter=torch.nn.Parameter(torch.randn(3, 3)),
    scalar=torch.tensor(2.5),
    empty=torch.zeros(0, 4),
    **{names[d].lower(): torch.tensor([0, 1, 1, 0]).to(d) for d in names},
)
module = torch.nn.Linear(3, 2)
state = module.state_dict()                           # carries _metadata
for name, t in tensors.items():
    state[name] = t
torch.save(state, here / "tensors.bin")
torch.save(dict(state), here / "legacy.bin", _use_new_zipfile_serialization=False)
safetensors(here / "tensors.safetensors", state)

width, deep, head, kv, vocab = 32, 64, 8, 2, 512


def random(*shape, scale=0.05):
    return (torch.randn(*shape) * scale).half()


model = OrderedDict()
model["model.embed_tokens.weight"] = random(vocab, width)
model["model.norm.weight"] = 1 + random(width)
p = "model.layers.0."
model[p + "input_layernorm.weight"] = 1 + random(width)
model[p + "post_attention_layernorm.weight"] = 1 + random(width)
model[p + "self_attn.q_proj.weight"] = random(width, 4 * head).t()   # not in the order of its shape
model[p + "self_attn.k_proj.weight"] = random(2 * kv * head, width)[::2]
model[p + "self_attn.v_proj.weight"] = random(kv * head, width)
model[p + "self_attn.o_proj.weight"] = random(width, 4 * head)
model[p + "mlp.gate_proj.weight"], model[p + "mlp.up_proj.weight"] = random(2 * deep, width).chunk(2)
model[p + "mlp.down_proj.weight"] = torch.nn.Parameter(random(width, deep))
safetensors(here / "model.safetensors", model)

cut = [n for n in model if "mlp" in n]
shards = [("pytorch_model-00001-of-00002.bin", OrderedDict((n, t) for n, t in model.items() if n not in cut), True),
          ("pytorch_model-00002-of-00002.bin", OrderedDict((n, model[n]) for n in cut), False)]
weight_map = {}
for name, part, new in shards:
    torch.save(part, here / name, _use_new_zipfile_serialization=new)
    weight_map.update({n: name for n in part})
(here / "pytorch_model.bin.index.json").write_text(json.dumps({"metadata": {}, "weight_map": weight_map}, indent=1) + "\n")
